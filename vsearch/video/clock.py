"""One clock for all tracks of a file, from its packets' own timestamps.

    for packet in in_step(container, stream): ...

Recordings that were joined, and broadcasts, change their clock in the middle: it jumps ahead, goes back or starts anew.
All tracks change with it, each a few packets earlier or later than the others. What belongs together is one epoch; the
timestamps of an epoch are moved so that it begins where the one before it ended. Pictures, sound and subtitles are read
in separate passes: each pass looks at the packets of all tracks in the order of the file, so that all come to the same
epochs. Nothing is looked ahead for, and what is remembered does not grow with the file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from vsearch.video.containers import open_video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

StreamT = TypeVar("StreamT", bound="Stream")

BACK = 0.1
"""Seconds by which the decoding times of a track may go back; beyond that it is another clock."""
AHEAD, AHEAD_ALONE = 10.0, 60.0
"""Seconds that no track fills, in a container whose clock may jump: beyond that it did. The second is for a file that
has one track alone, which may hold a picture for a while."""
HOUR, DAY = 3600.0, 86400.0
"""The same in a container whose clock is not expected to jump: where all tracks stop and go on together; where there is
one track alone. Shorter gaps are held pictures, and silence."""
ALIVE = 5.0
"""Seconds for which a track counts as present after its last packet."""
REORDERED = 16
"""Pictures that may be decoded before one that is shown earlier."""
LAG = 5.0
"""Seconds by which a track may follow another into an epoch."""
SETTLED = 3.0
"""Seconds after which a track that did not notice a small jump is in the epoch of the others."""
SMALL = 1.0
"""Seconds: a jump by less may go unnoticed in some of the tracks."""
REMEMBERED = 4
"""Epochs that a track may still be found in, or return to after a damaged timestamp."""


@dataclass(slots=True)
class _Track:
    """What was seen of one track. Seconds; `end` on the library's clock, `last` on the file's."""

    last: float | None = None
    """Decoding time of its last packet."""
    end: float = float("-inf")
    """Where it ends so far."""
    epoch: int = 0
    entered: float = float("-inf")
    """Where the track ended when it entered its epoch."""
    step: float = 0.0
    """The longest time between two packets, jumps aside."""


class Clock:
    """Joins the clocks of a file: pass every packet, in its order, to `shift`."""

    def __init__(
        self, *, jumps: bool, pictures: Collection[int], sound: Collection[int] = (), returns: bool = True
    ) -> None:
        """jumps: see may_jump. pictures, sound: indexes of the tracks. returns: decoding times that go back are another
        clock. Where an edit list orders the packets of a file, they are not."""
        self._jumps = jumps
        self._returns = returns
        self._pictures = frozenset(pictures)
        self._tracks = {index: _Track() for index in (*pictures, *sound)}
        self._offsets: list[float] = [0.0]
        """Of each epoch: what its timestamps are moved by."""
        self._current = 0
        """The epoch that was entered last."""
        self._since = 0.0
        self._now = float("-inf")
        """Seconds on the library's clock: where all that was seen ends."""

    @classmethod
    def of(cls, container: InputContainer) -> Clock:
        """The clock of a file that was opened, and of which nothing was read."""
        kinds = {stream.index: stream.type for stream in timed(container)}
        pictures = [index for index, kind in kinds.items() if kind == "video"]
        sound = [index for index, kind in kinds.items() if kind == "audio"]
        return cls(jumps=may_jump(container), pictures=pictures, sound=sound, returns=not _is_indexed(container))

    @property
    def end(self) -> float:
        """Seconds: where all packets so far end."""
        return self._now

    @property
    def moved(self) -> bool:
        """Whether the clock jumped so far."""
        return len(self._offsets) > 1

    def shift(self, packet: Packet[Any]) -> float:
        """Seconds to add to the packet's timestamps."""
        base = packet.time_base
        track = self._tracks.get(packet.stream_index)
        if track is None:  # it comes too rarely to tell anything
            told = packet.pts if packet.pts is not None else packet.dts
            return self._offsets[self._current if told is None or base is None else self._nearest(float(told * base))]
        if packet.dts is None or base is None:  # times of display go back and forth
            return self._offsets[track.epoch]
        time = float(packet.dts * base)
        shown = time if packet.pts is None else float(packet.pts * base)
        if track.last is None:
            track.epoch = self._nearest(time)
        else:
            step = time - track.last
            if self._jumps and shown > time + AHEAD + REORDERED * max(track.step, step):
                time = shown  # the decoding time was made up from the pictures before
            if self._has_jumped(track, time):
                self._enter(track, self._known(track, time), shown, packet.stream_index in self._pictures)
            else:
                track.step = max(track.step, step)
                self._settle(track)
        track.last = time
        offset = self._offsets[track.epoch]
        track.end = max(track.end, shown + offset + float((packet.duration or 0) * base))
        self._now = max(self._now, track.end)
        return offset

    def _settle(self, track: _Track) -> None:
        """A jump that is too small to be noticed in this track is its own, too."""
        away = abs(self._offsets[track.epoch] - self._offsets[self._current])
        if 0 < away < SMALL and self._now > self._since + SETTLED:
            track.epoch = self._current

    def _recent(self) -> range:
        return range(max(0, len(self._offsets) - REMEMBERED), len(self._offsets))

    def _nearest(self, time: float) -> int:
        """The epoch in which a time of the file's clock is nearest to now."""
        return min(reversed(self._recent()), key=lambda epoch: abs(time + self._offsets[epoch] - self._now))

    def _has_jumped(self, track: _Track, time: float) -> bool:
        assert track.last is not None
        if time < track.last - BACK:
            return self._returns
        others = time + self._offsets[self._current] - self._now
        if track.epoch < self._current and time > track.last + SMALL and -LAG < others < AHEAD:
            return True  # a jump that the others found long enough
        gap = time + self._offsets[track.epoch] - self._now
        if gap <= AHEAD:
            return False
        together = any(other is not track and other.end > self._now - ALIVE for other in self._tracks.values())
        if self._jumps:
            return gap > (AHEAD if together else AHEAD_ALONE)
        return gap > (HOUR if together else DAY)

    def _known(self, track: _Track, time: float) -> int | None:
        """The epoch that others entered before, or that the track itself was in before a damaged timestamp."""
        isolated = track.end - track.entered < SMALL
        for epoch in reversed(self._recent()):
            at = time + self._offsets[epoch]
            if epoch > track.epoch and -LAG < at - self._now < AHEAD:
                return epoch
            if epoch < track.epoch and isolated and abs(at - track.end) < SMALL:
                return epoch
        return None

    def _enter(self, track: _Track, epoch: int | None, shown: float, pictures: bool) -> None:
        if epoch is None:
            # Pictures go on without a seam, unless sound went on without them.
            begin = track.end if pictures and self._now - track.end < SMALL else self._now
            self._offsets.append(begin - shown)
            epoch = len(self._offsets) - 1
        elif pictures and epoch > track.epoch:
            # Sound came first, and begins later than the pictures that belong to it: these must not overlap.
            self._offsets[epoch] += max(0.0, track.end - shown - self._offsets[epoch])
        track.epoch, track.entered = epoch, track.end
        if epoch != self._current:
            self._current, self._since = epoch, self._now


def may_jump(container: InputContainer) -> bool:
    """Whether the format is one whose clock may jump, as that of a broadcast does."""
    from av.format import Flags

    return bool(container.format.flags & cast("int", Flags.ts_discont.value))


def timed(container: InputContainer) -> list[Stream]:
    """The tracks that tell the time: pictures and sound. Others come rarely, and cover art comes once."""
    from av.stream import Disposition

    return [
        stream
        for stream in container.streams
        if stream.type in ("video", "audio") and not stream.disposition & Disposition.attached_pic
    ]


def in_step(container: InputContainer, stream: StreamT, clock: Clock | None = None) -> Iterator[Packet[StreamT]]:
    """Packets of a track, from the beginning of the file, with timestamps that are moved onto one clock.

    clock: to be asked whether it jumped. FFmpegError passes through.
    """
    clock = clock or Clock.of(container)
    wanted = {one.index: one for one in timed(container)} | {stream.index: stream}
    for packet in container.demux(list(wanted.values())):
        shift = clock.shift(packet) if packet.size else 0.0
        if packet.stream.index != stream.index:
            continue
        if shift and packet.time_base:
            ticks = round(Fraction(shift) / packet.time_base)
            if packet.pts is not None:
                packet.pts += ticks
            if packet.dts is not None:
                packet.dts += ticks
        yield cast("Packet[StreamT]", packet)


WHOLE = 64 * 1024 * 1024
"""Bytes: smaller files are read whole, to see whether their clock jumps."""
SAMPLES = 256
"""Places of a larger one whose times are compared."""
FROM_ZERO = ("matroska,webm", "flv", "asf", "nut")
"""Formats that state one duration for all tracks, most of them as the time of the file's own clock at which it ends."""
_INDEXED = frozenset({"mov", "mp4", "avi", "gif"})
"""Formats with a table of all times: a seek in them finds its place."""


def jumps(path: Path) -> bool:
    """Whether the clock of a file jumps, so that a timestamp does not say where in the file it is. See
    duration_with_jumps."""
    return duration_with_jumps(path) is not None


def duration_of(container: InputContainer) -> float:
    """Seconds that a file lasts on the player's timeline; 0.0: not known. Of every format whose clock may jump the
    packets are read, through a container of its own. FFmpegError passes through."""
    measured = duration_with_jumps(Path(container.name)) if may_jump(container) else None
    if measured is not None:
        return measured
    seconds, origin = (container.duration or 0) / 1_000_000, (container.start_time or 0) / 1_000_000
    if container.format.name in FROM_ZERO and seconds > origin:
        seconds -= origin
    return max(0.0, seconds)


def duration_with_jumps(path: Path) -> float | None:
    """Seconds that a file lasts whose clock jumps; None where it does not jump.

    Of a large file that may be a broadcast only samples are read: its duration is an estimate, and a jump by less than
    what lies between two samples can be missed. FFmpegError passes through.
    """
    with open_video(path) as container:
        streams = timed(container)
        if not streams or _is_indexed(container):
            return None
        if container.size > WHOLE:
            return _sampled_duration(container, streams[0]) if may_jump(container) else None
        from av.error import FFmpegError

        clock, origin = Clock.of(container), (container.start_time or 0) / 1_000_000
        with suppress(FFmpegError):  # a file that is cut off lasts as long as what can be read
            for packet in container.demux(streams):
                if packet.size:
                    clock.shift(packet)
        return max(0.0, clock.end - origin) if clock.moved else None


def _is_indexed(container: InputContainer) -> bool:
    return bool(_INDEXED & set(container.format.name.split(",")))


def _sampled_duration(container: InputContainer, stream: Stream) -> float | None:
    times = []
    for place in range(SAMPLES):
        container.seek(container.size * place // SAMPLES, unsupported_byte_offset=True)
        for packet in container.demux(stream):
            if packet.dts is not None and packet.time_base is not None:
                times.append(float(packet.dts * packet.time_base))
                break
    gaps = [after - before for before, after in pairwise(times)]
    if not gaps:
        return None
    usual = sorted(gaps)[len(gaps) // 2]
    steps = [gap if -BACK <= gap <= AHEAD + 3 * usual else usual for gap in gaps]
    return None if steps == gaps else max(0.0, sum(steps) + usual)
