#!/usr/bin/env bash
# A browser for the tests of the web page, if this machine has or can get one; without it they are skipped.
# Usage: install_chromium.sh PYTHON
python=$1
for name in "${DINGOCAR_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && command -v "$name" >/dev/null; then exit 0; fi
done
if timeout 180 "$python" -m playwright install --only-shell chromium >/dev/null 2>&1; then exit 0; fi
as_root=
if [ "$(id -u)" != 0 ]; then as_root="sudo -n"; fi
if command -v apt-get >/dev/null && { [ -z "$as_root" ] || sudo -n true 2>/dev/null; }; then
    { timeout 120 $as_root apt-get update && DEBIAN_FRONTEND=noninteractive timeout 300 $as_root apt-get install -y \
        --no-install-recommends chromium; } >/dev/null 2>&1 && exit 0
fi
echo "no Chromium here, and none to be had: the tests of the web page will be skipped" >&2
