"""The progress bar: how far, how fast, how long; and what else a run says while it goes and when it ends."""

import io

from bleepstore.terminal import Line
from bleepstore.transfer.progress import MIB, Progress
from bleepstore.transfer.report import Report


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_bar_says_how_far_how_fast_and_how_long():
    clock = Clock()
    progress = Progress(clock)
    for size in (30 * MIB, 10 * MIB):
        progress.expect(size)
    assert str(progress) == "0 objects"  # they are not all counted yet
    progress.counted = True
    assert str(progress) == "[....................]   0%  0 of 2"
    clock.now += 10
    progress.objects, progress.moved = 1, 10 * MIB
    assert str(progress) == "[#####...............]  25%  1 of 2, 10.0 MiB, 1.0 MiB/s, 0:29 left"
    progress.spared = 30 * MIB
    progress.objects = 2
    assert str(progress) == "[####################] 100%  2 of 2, 10.0 MiB, 1.0 MiB/s"


def test_bar_goes_by_objects_where_no_bytes_are_read():
    progress = Progress(Clock())
    for _ in range(1000):
        progress.expect(0)
    progress.counted, progress.objects = True, 1500  # upstream has more than there are rows
    assert str(progress) == "[####################] 100%  1,500 of 1,000"
    progress.objects = 500
    assert progress.fraction == 0.5


def test_hours_are_said_as_such():
    clock = Clock()
    progress = Progress(clock, objects=1, objects_of=100, counted=True)
    clock.now += 100
    assert str(progress).endswith("1 of 100, 2:45:00 left")


def test_what_was_found_stands_behind_the_bar():
    report = Report.silent()
    report.tell("changed", "b", "k", "why")
    assert report.under_way() == "0 objects: 1 changed"


def test_terminal_sees_how_much_there_is_and_others_no_control_codes(cloud, upstream, monkeypatch):
    monkeypatch.setattr("bleepstore.terminal.TICK", 0.001)
    for n in range(300):
        upstream.put("photos", f"{n}", b"x")
    shown = cloud.run("import", terminal=True).err
    assert "of 300" in shown
    ran = cloud.run("import")
    assert (ran.err, "\x1b" in ran.out, "\r" in ran.out) == ("", False, False)


def test_line_is_no_longer_than_the_terminal_is_wide(monkeypatch):
    """A second line could not be replaced."""
    shown = io.StringIO()
    shown.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setenv("COLUMNS", "40")
    Line().show("x" * 100)
    assert shown.getvalue() == "\r" + "x" * 39 + "\x1b[K"


def test_nothing_is_counted_where_nobody_looks(cloud, upstream):
    upstream.put("photos", "a", b"x")
    upstream.calls.clear()
    cloud.run("import")
    assert len([1 for point, _ in upstream.calls if point == "buckets"]) == 1
