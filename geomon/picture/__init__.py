"""Pictures of cases: a map with its timeline, as a page that opens offline and as a PNG.

`track` reads a recording into stories, `scene` works out what is to be seen, `html` and `png` draw
it. Nothing here decides anything: alerts are drawn as they were sent.
"""

from __future__ import annotations

from geomon.picture.html import draw_html
from geomon.picture.png import draw_png
from geomon.picture.track import Leave, Story, TrackPoint, stories_from

__all__ = ["Leave", "Story", "TrackPoint", "draw_html", "draw_png", "stories_from"]
