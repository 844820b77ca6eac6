"""A page on somebody else's server, which the counter's scripts are put on."""

from __future__ import annotations

import contextlib

from tests.browser.site import Site

# A picture that moves, so that the player has something to play.
FILM = """
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  Object.assign(canvas, {width: 640, height: 360});
  const draw = () => {
    pen.fillStyle = "#0b1020";
    pen.fillRect(0, 0, 640, 360);
    pen.fillStyle = "#5bd17f";
    pen.fillRect(Math.random() * 600, 170, 40, 20);
  };
  draw();
  setInterval(draw, 50);
  const film = Object.assign(document.createElement("video"), {muted: true, autoplay: true, controls: true});
  film.srcObject = canvas.captureStream(20);
  film.id = "film";
  document.body.append(film);
"""
PAGE = """<!doctype html><html lang="{lang}" dir="{dir}"><head><meta charset="utf-8"><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>page</title></head>
<body>{body}<script>{film}</script>{scripts}</body></html>"""


class Elsewhere(Site):
    def page(self, scripts, *, lang="en", film=True, body="<p>A page</p>", headers=None):
        """Keep a page; return its address."""
        text = PAGE.format(
            lang=lang,
            dir="rtl" if lang == "ar" else "ltr",
            body=body,
            film=FILM if film else "",
            scripts=scripts,
        )
        return self.put(f"{len(self.pages)}.html", text, **(headers or {}))


@contextlib.contextmanager
def elsewhere():
    """Run the server."""
    one = Elsewhere()
    try:
        yield one
    finally:
        one.close()
