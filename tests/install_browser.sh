#!/bin/sh
# Installs what the tests of the browser side need, where this user may: Chromium, and Node.js with the compiler tsc.
# Says in one line what is missing where not.
missing=""
command -v chromium >/dev/null || missing="chromium"
command -v node >/dev/null && command -v tsc >/dev/null || missing="$missing node-typescript"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo -n"; fi
if command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
    # shellcheck disable=SC2086 # one word for each package
    $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
fi
missing=${missing# }
echo "The tests of the browser side need more: install the packages '$missing' and run 'make test' again." >&2
exit 1
