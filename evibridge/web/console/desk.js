/** The operator's desk: the streams, the models that they feed, and the views of those. */

import { put } from "../shared/elements.js";
import { CallSearch } from "./call_search.js";
import { EmptyView } from "./empty_view.js";
import { EventStream } from "./event_stream.js";
import { followKeys } from "./keyboard.js";
import { ListView } from "./list_view.js";
import { LiveCalls } from "./live_calls.js";
import { noticeOf, NoticeView } from "./notices.js";
import { part, showCounts, showView } from "./page_parts.js";
import { Presence } from "./presence.js";
import { followRoute, go } from "./router.js";
import { ServerClock } from "./server_clock.js";
import { ServiceWatch } from "./service_watch.js";
import { Shortcuts } from "./shortcuts.js";
import { Spoken, titleWords } from "./spoken.js";
import { offerThemes } from "./theme.js";
import { showVitals } from "./vitals.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./router.js").Route} Route */
/** @typedef {import("./types").Operator} Operator */
/** @typedef {import("./types").Summary} Summary */
/** @typedef {import("./types").Told} Told */

const TICK_MS = 1000;
/** When what is seen first is there. */
const PRELOADS_MS = 1500;
/** A view that stops again and again is told once. */
const ALARM_EVERY_MS = 60_000;
/** As many calls as are told at once. */
const MOST_FOUND = 200;
/** @type {Operator} */
const NOBODY = { name: "", scope: "read" };

export class Desk {
  #api;
  #token;
  #onToken;
  #clock = new ServerClock();
  #calls = new LiveCalls(this.#clock);
  #watch;
  #stream;
  #list;
  /** @type {import("./history_view.js").HistoryView | null} */
  #history = null;
  /** @type {import("./call_desk.js").CallDesk | null} */
  #open = null;
  #empty = new EmptyView(part("empty"));
  #notices;
  #search;
  #spoken = new Spoken(part("spoken"), part("alarm"));
  /** @type {Route} */
  #route = { view: "live", callId: null };
  #ready;
  #isKnown = false;
  /** @type {number | null} */
  #stoppedAt = null;
  /** @type {number | null} */
  #retryAt = null;
  #alarmedAt = -Infinity;
  /** Whether the list does not come, and is not told anew yet. */
  #isStale = false;
  #shortcuts = new Shortcuts();
  #presence;
  #skipped = 0;
  #skippedAt = 0;

  /**
   * @param {Api} api
   * @param {string | null} token
   * @param {() => void} onToken another one is wanted
   */
  constructor(api, token, onToken) {
    this.#api = api;
    this.#token = token;
    this.#onToken = onToken;
    const clock = this.#clock;
    const me = () => this.#me;
    this.#watch = new ServiceWatch({ api, clock, onChange: () => this.#tick() });
    this.#notices = new NoticeView(part("notices"), (name) => this.#act(name));
    this.#search = new CallSearch(/** @type {HTMLInputElement} */ (part("search")), {
      find: async (q) => {
        const { calls } = await api.calls({ state: "live", q, limit: MOST_FOUND });
        return new Set(calls.map((call) => call.call_id));
      },
      onText: (text) => this.#searched(text),
      onFound: (found) => this.#found(found),
    });
    this.#list = new ListView(part("list"), {
      calls: this.#calls,
      me,
      clock,
      onOpen: (callId) => go({ view: "live", callId }),
      onClear: () => this.#search.clear(),
    });
    this.#stream = new EventStream({
      path: "v1/events",
      params: { events: "false", summaries: "true" },
      token,
      isEndless: true,
      onTold: (told) => this.#take(told),
      onState: (state, retryInMs) => this.#linked(state, retryInMs),
      check: async () => {
        await this.#watch.refresh();
        return "retry";
      },
    });
    this.#presence = new Presence({
      tell: (callId) => api.command(callId, "takeover", { renew: true }),
      live: () => this.#calls.live(),
    });
    this.#ready = this.#watch.start();
    offerThemes(part("theme"), () => this.#update());
    followRoute((route) => this.#show(route));
    part("nav-history").addEventListener("click", () => this.#isHistory && void this.#showHistory());
    part("keys").addEventListener("click", () => void this.#shortcuts.open());
    this.#followKeys();
    // A call shall open at once, and also while the service cannot be reached.
    setTimeout(() => {
      for (const file of ["./call_desk.js", "./keys_dialog.js"]) import(file).catch(() => {});
    }, PRELOADS_MS);
    setInterval(() => this.#tick(), TICK_MS);
  }

  get #me() {
    return this.#watch.service?.operator ?? NOBODY;
  }

  /** Whether the list of ended calls is all that is seen. */
  get #isHistory() {
    return this.#route.view === "history" && this.#route.callId === null;
  }

  /** A call that the operator has, and does not see. */
  get #mine() {
    const { name, scope } = this.#me;
    if (scope !== "control") return undefined;
    const isElsewhere = (/** @type {Summary} */ { call_id: id }) => id !== this.#route.callId;
    return this.#calls.live().find((call) => call.taken_over_by === name && isElsewhere(call));
  }

  /** The operator is not known any more. */
  leave() {
    this.#isKnown = false;
    this.#watch.stop();
    this.#stream.close();
    this.#open?.open(null);
  }

  /** @param {Told} told */
  #take(told) {
    if (told.type === "gap") {
      this.#skipped += told.missed;
      this.#skippedAt = this.#clock.now();
    }
    this.#calls.take(told);
    this.#isKnown = true;
    this.#isStale = false;
    this.#stay();
    this.#search.again();
    this.#update();
  }

  /** @param {"open"|"lost"|"over"|"refused"} state @param {number | null} retryInMs */
  #linked(state, retryInMs) {
    if (state === "open") {
      if (this.#stoppedAt !== null) void this.#watch.refresh();
      this.#stoppedAt = this.#retryAt = null;
    } else if (state !== "refused") {
      const now = this.#clock.now();
      if (this.#stoppedAt === null && now - this.#alarmedAt > ALARM_EVERY_MS) {
        this.#spoken.alert("Live view stopped. Calls go on without it.");
        this.#alarmedAt = now;
      }
      this.#isStale = true;
      this.#stoppedAt ??= now;
      this.#retryAt = now + (retryInMs ?? 0);
    }
    this.#tick();
  }

  /** @param {import("./notices.js").ActionName} name */
  #act(name) {
    if (name === "token") this.#onToken();
    if (name === "dismiss") this.#skipped = 0;
    if (name === "open" && this.#mine) go({ view: "live", callId: this.#mine.call_id });
    if (name === "retry") {
      this.#retryAt = null;
      this.#stream.tryNow();
      this.#open?.tryNow();
    }
    this.#tick();
  }

  /** @param {Route} route */
  #show(route) {
    const { view, callId } = route;
    const { callId: before } = this.#route;
    this.#route = route;
    if (callId === null || callId !== before) part("missing").hidden = true;
    showView(view);
    this.#list.open(view === "live" ? callId : null);
    this.#arrange();
    if (view === "history") void this.#showHistory();
    void this.#showCall();
    const main = part("main");
    if (callId === null && before !== null) (view === "live" ? this.#list : this.#history)?.focus();
    else if (callId !== null && !isSeen(document.activeElement, main)) part("one").focus();
  }

  async #showHistory() {
    this.#history ??= await this.#loaded(async () => {
      const { HistoryView } = await import("./history_view.js");
      return this.#history ?? new HistoryView(part("history"), {
        load: (params) => this.#api.calls(params),
        onOpen: (callId) => go({ view: "history", callId }),
        onClear: () => this.#search.clear(),
      });
    });
    const { view, callId } = this.#route;
    this.#history?.open(view === "history" ? callId : null);
    if (view === "history") void this.#history?.show(this.#search.text);
  }

  async #showCall() {
    if (this.#route.callId !== null) await this.#loadCall();
    this.#open?.open(this.#route.callId);
  }

  async #loadCall() {
    this.#open ??= await this.#loaded(async () => {
      const { CallDesk } = await import("./call_desk.js");
      return this.#open ?? new CallDesk(part("one"), {
        api: this.#api,
        token: this.#token,
        me: () => this.#me,
        service: () => this.#watch.service,
        ready: this.#ready,
        clock: this.#clock,
        live: (id) => this.#calls.get(id),
        isStale: () => this.#isStale,
        say: (sentence, isUrgent) => (isUrgent ? this.#spoken.alert(sentence) : this.#spoken.say(sentence)),
        onTakeOver: (id) => this.#presence.took(id, this.#clock.now()),
        onTold: (isNews) => {
          this.#stay();
          if (isNews) this.#speakOfCall();
        },
        onBack: () => this.#back(),
        onMissing: (sentence) => this.#miss(sentence),
      });
    });
  }

  /**
   * @template Loaded
   * @param {() => Promise<Loaded>} load may be asked again while it loads
   */
  async #loaded(load) {
    try {
      return await load();
    } catch {
      this.#miss("A part of the page could not be loaded. Load the page again.");
      return null;
    }
  }

  /** @param {string} sentence why nothing is shown; "" if something is */
  #miss(sentence) {
    put(part("missing").firstElementChild, sentence);
    part("missing").hidden = !sentence;
    this.#arrange();
  }

  /** Which parts are there. */
  #arrange() {
    const { view, callId } = this.#route;
    const isOpen = callId !== null;
    const isEmpty = this.#isKnown && !isOpen && view === "live" && this.#calls.counts().all === 0;
    const main = part("main");
    main.classList.toggle("opened", isOpen);
    main.classList.toggle("wide", !isOpen);
    part("empty").hidden = !isEmpty;
    part("list").hidden = view !== "live" || isEmpty;
    part("history").hidden = view !== "history";
    part("one").hidden = !isOpen || !part("missing").hidden;
    // The heading of the page is that of the call, if one is shown.
    part("heading").hidden = !part("one").hidden;
    put(part("heading"), view === "live" ? "Live calls" : "Ended calls");
    if (isEmpty) this.#empty.show(this.#watch.service?.number ?? null);
  }

  #back() {
    go({ ...this.#route, callId: null });
  }

  /** @param {string} text */
  #searched(text) {
    this.#list.query = text;
    if (this.#route.view === "history") void this.#history?.show(text);
  }

  /** @param {Set<string> | null} found */
  #found(found) {
    this.#list.found = /** @type {any} */ (found);
    this.#list.update();
  }

  #tick() {
    this.#calls.sweep();
    const { service } = this.#watch;
    const callStoppedAt = this.#open?.call?.lostAt ?? null;
    const stops = { stoppedAt: this.#stoppedAt, callStoppedAt, retryAt: this.#retryAt };
    const state = { ...stops, mine: this.#mine, service };
    const notice = noticeOf(
      { ...state, skipped: this.#skipped, skippedAt: this.#skippedAt },
      this.#clock.now(),
    );
    this.#notices.show(notice);
    showVitals(part("vitals"), service);
    this.#stay();
    this.#update();
  }

  /** The timers of a page that is not seen may rest for a minute; what comes from the service does not. */
  #stay() {
    const { name, scope } = this.#me;
    if (this.#isKnown && scope === "control") this.#presence.tick(name, this.#clock.now());
  }

  #update() {
    const counts = this.#calls.counts();
    if (this.#isKnown) showCounts(counts);
    document.title = titleWords(counts);
    this.#speak();
    this.#arrange();
    this.#list.update();
    this.#open?.update();
  }

  /** What screen readers are told. */
  #speak() {
    const { changed } = this.#calls;
    const calls = { changed, get: (/** @type {string} */ id) => this.#calls.get(id) };
    this.#spoken.calls(calls, this.#me, this.#clock.now());
    changed.clear();
    this.#speakOfCall();
  }

  #speakOfCall() {
    this.#spoken.opened(this.#open?.call ?? null, this.#me, this.#shortcuts.readsAloud);
  }

  #followKeys() {
    const list = () => (this.#route.view === "live" ? this.#list : this.#history);
    /** @type {import("./keyboard.js").Actions} */
    const own = {
      search: () => part("search").focus(),
      step: (by) => list()?.step(by),
      open: () => list()?.focus(),
      back: () => (this.#route.callId === null ? this.#search.clear() : this.#back()),
      help: () => void this.#shortcuts.open(),
    };
    // The others are those of the call that is open, if there is one.
    const all = new Proxy(own, {
      get: (_, /** @type {import("./keyboard.js").Action} */ name) =>
        own[name] ?? (this.#open?.call ? /** @type {any} */ (this.#open.actions)[name] : undefined),
    });
    followKeys(() => this.#shortcuts.lettersAct, all);
  }
}

/** @param {Element | null} focused @param {HTMLElement} main */
function isSeen(focused, main) {
  return focused instanceof HTMLElement && main.contains(focused) && focused.offsetParent !== null;
}
