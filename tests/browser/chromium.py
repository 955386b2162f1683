"""Headless Chromium, which has a file for a microphone and reaches nothing but this machine."""

import shutil
from pathlib import Path

from playwright.async_api import Browser, Playwright

_FLAGS = (
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
)
_FAKE_DEVICE = "--use-fake-device-for-media-stream"
_YES_TO_MICROPHONE = "--use-fake-ui-for-media-stream"
MICROPHONE_FORBIDDEN = (_FAKE_DEVICE,)
NO_MICROPHONE = ("--disable-audio-input",)


def microphone_flags(file: Path) -> tuple[str, ...]:
    """A microphone that is allowed, and plays a file once, from the moment it is opened."""
    return (_FAKE_DEVICE, _YES_TO_MICROPHONE, f"--use-file-for-fake-audio-capture={file}%noloop")


class Chromium:
    """One browser at a time: another one where other flags are wanted."""

    def __init__(self, playwright: Playwright) -> None:
        self._playwright = playwright
        self._flags: tuple[str, ...] = ()
        self._browser: Browser | None = None

    async def browser(self, flags: tuple[str, ...]) -> Browser:
        """A browser with these flags beside those of all."""
        if self._browser is None or flags != self._flags:
            await self.close()
            program = shutil.which("chromium")
            assert program, "The browser tests need Chromium: run 'sh tests/install_browser.sh'."
            self._flags = flags
            self._browser = await self._playwright.chromium.launch(
                executable_path=program, args=[*_FLAGS, *flags]
            )
        return self._browser

    async def close(self) -> None:
        """Leave none running."""
        if self._browser is not None:
            await self._browser.close()
            self._browser = None
