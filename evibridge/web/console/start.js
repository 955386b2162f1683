/** The console: lets an operator in, and sets up the desk that he works at. */

import { Api } from "./api.js";
import { Desk } from "./desk.js";
import { part } from "./page_parts.js";
import { reasonOf, SignIn } from "./sign_in.js";
import { forgetToken, readToken } from "./token_store.js";

const main = part("main");
/** @type {Desk | null} */
let desk = null;

const signIn = new SignIn(part("signin"), {
  // What was set up for another operator is gone with the page.
  onToken: (token) => (desk ? location.reload() : sit(token)),
  onCancel: () => main.classList.remove("asks"),
});

/** @param {string} reason @param {boolean} mayCancel */
function ask(reason, mayCancel) {
  // The token that was good until now is not good any more: nothing is left to go back to.
  if (signIn.isShown && mayCancel) return;
  main.classList.add("asks");
  signIn.show(reason, mayCancel);
}

/** @param {string | null} token */
function sit(token) {
  main.classList.remove("asks");
  const api = new Api(token, (error) => {
    forgetToken();
    desk?.leave();
    ask(reasonOf(error, token), false);
  });
  const begin = () => {
    if (!signIn.isShown) desk = new Desk(api, token, () => ask("", true));
  };
  // A service may answer programs of its own machine without a token. What else is wrong, the desk tells.
  if (token === null) api.service(new Date().toISOString()).then(begin, begin);
  else begin();
}

part("skip").addEventListener("click", (event) => {
  // The address tells what is open.
  event.preventDefault();
  main.focus();
});
sit(readToken());
