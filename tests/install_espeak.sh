#!/bin/sh
# Installs espeak-ng, the voice of the callers in the tests, where this user may; says so in one line where not.
command -v espeak-ng >/dev/null && exit 0
if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo -n"; fi
if command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
    $as_root apt-get update -qq && $as_root apt-get install -y -qq espeak-ng >/dev/null && exit 0
fi
echo "The spoken tests need espeak-ng: install the package 'espeak-ng' and run 'make test' again." >&2
exit 1
