"""The catalog's tables as typed SQLAlchemy models. SQLite holds the truth, vectors included.

The models are for writing. Reading goes through reader.py, which speaks SQL to the standard library's sqlite3, because
importing SQLAlchemy would cost every query its start-up time. migrations.py holds the DDL as it was released; a test
keeps both equal.

No id is ever used twice (AUTOINCREMENT), so an id in an old snapshot can only mean the row that it meant then. Every
write transaction raises `meta.change` by one; vectors and removals carry the change that made them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index, Integer, LargeBinary, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite's INTEGER PRIMARY KEY is 64 bits wide; BigInteger would not be an alias of the rowid there.
_Id = Integer


class Base(DeclarativeBase):
    """The catalog's metadata."""


class Meta(Base):
    """One row about the catalog itself."""

    __tablename__ = "meta"
    __table_args__ = (CheckConstraint("id = 1"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    library_id: Mapped[str] = mapped_column(Text)
    """Random: a snapshot of another library never passes for one of this."""
    change: Mapped[int] = mapped_column(BigInteger)
    pruned_through: Mapped[int] = mapped_column(BigInteger)
    """Removals up to this change are no longer listed: a snapshot that is older cannot be brought up to date."""


class Setting(Base):
    """What a person has chosen for this library, by name: "model" is the model that answers unless told otherwise."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Video(Base):
    """One content, whatever files hold it."""

    __tablename__ = "videos"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    key: Mapped[str] = mapped_column(Text, unique=True)
    duration: Mapped[float] = mapped_column(Float)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    codec: Mapped[str] = mapped_column(Text)
    container: Mapped[str] = mapped_column(Text)
    rotation: Mapped[int] = mapped_column(Integer)
    has_audio: Mapped[int] = mapped_column(Integer)
    recorded_at: Mapped[float | None] = mapped_column(Float)


class File(Base):
    """A path that holds a video. Paths are bytes, as the file system spells them."""

    __tablename__ = "files"
    __table_args__ = (Index("files_video", "video_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    path: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    video_id: Mapped[int] = mapped_column(ForeignKey("videos.id"))


class Failure(Base):
    """A file that could not be indexed, as it was when it was tried."""

    __tablename__ = "failures"

    path: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    cause: Mapped[str] = mapped_column(Text)
    at: Mapped[float] = mapped_column(Float)
    """Unix seconds."""


class Scene(Base):
    """A span of a video, half-open."""

    __tablename__ = "scenes"
    __table_args__ = (
        Index("scenes_video", "video_id", "ordinal", unique=True),
        Index("scenes_start", "video_id", "start_seconds"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    ordinal: Mapped[int] = mapped_column(Integer)
    start_seconds: Mapped[float] = mapped_column(Float)
    end_seconds: Mapped[float] = mapped_column(Float)
    spoken: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """1 where a line of speech lies in it, as `add_segments` of write_words.py found."""


class Space(Base):
    """Which vectors may be compared with which."""

    __tablename__ = "spaces"
    __table_args__ = (
        Index("spaces_identity", "fingerprint", "channel", "dim", "metric", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    model: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text)
    dim: Mapped[int] = mapped_column(Integer)
    metric: Mapped[str] = mapped_column(Text)


class Encoding(Base):
    """A video is encoded in a space: every scene of it, or every passage of its words, then has a vector there."""

    __tablename__ = "encodings"

    video_id: Mapped[int] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True)
    space_id: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)


class Vector(Base):
    """A scene's vector in a space: fp16."""

    __tablename__ = "vectors"
    # scene first: the same index serves look-ups by id and the cascade from scenes
    __table_args__ = (
        Index("vectors_scene", "scene_id", "space_id", unique=True),
        Index("vectors_change", "space_id", "change"),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    space_id: Mapped[int] = mapped_column(ForeignKey("spaces.id"))
    scene_id: Mapped[int] = mapped_column(ForeignKey("scenes.id", ondelete="CASCADE"))
    change: Mapped[int] = mapped_column(BigInteger)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class Frames(Base):
    """The frames of a scene in a space: their times (fp64) and vectors (int8 with a scale each)."""

    __tablename__ = "frames"
    __table_args__ = (Index("frames_scene", "scene_id", "space_id", unique=True),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    space_id: Mapped[int] = mapped_column(ForeignKey("spaces.id"))
    scene_id: Mapped[int] = mapped_column(ForeignKey("scenes.id", ondelete="CASCADE"))
    times: Mapped[bytes] = mapped_column(LargeBinary)
    vectors: Mapped[bytes] = mapped_column(LargeBinary)


class Thumbnail(Base):
    """A small picture of a scene: JPEG, or empty where none could be made."""

    __tablename__ = "thumbnails"
    # An index of its own, although a scene has but one: looking for scenes without must not read the pictures.
    __table_args__ = (Index("thumbnails_scene", "scene_id", unique=True),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    scene_id: Mapped[int] = mapped_column(ForeignKey("scenes.id", ondelete="CASCADE"))
    picture: Mapped[bytes] = mapped_column(LargeBinary)


class Label(Base):
    """A scene shows what a label says, as a model sees it (search/labels.py)."""

    __tablename__ = "labels"
    __table_args__ = (
        Index("labels_scene", "scene_id", "space_id", "label", unique=True),
        Index("labels_label", "label", "scene_id"),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    scene_id: Mapped[int] = mapped_column(ForeignKey("scenes.id", ondelete="CASCADE"))
    space_id: Mapped[int] = mapped_column(ForeignKey("spaces.id"))
    label: Mapped[str] = mapped_column(Text)
    """As `label_key` of library/labels.py spells it: case and blanks mean nothing."""
    score: Mapped[float] = mapped_column(Float)


class Segment(Base):
    """Words of a video and when they were spoken or shown."""

    __tablename__ = "segments"
    __table_args__ = (Index("segments_video", "video_id", "channel", "start_seconds"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(Text)
    start_seconds: Mapped[float] = mapped_column(Float)
    end_seconds: Mapped[float] = mapped_column(Float)
    text: Mapped[str] = mapped_column(Text)
    words: Mapped[str | None] = mapped_column(Text)
    """JSON [[start, end, text], ...]: when each word is spoken, where that is known."""
    box: Mapped[str | None] = mapped_column(Text)
    """JSON [left, top, right, bottom], fractions of the picture, where it is shown."""
    confidence: Mapped[float | None] = mapped_column(Float)
    folded: Mapped[str] = mapped_column(Text, server_default="")
    """The text as `segment_words` indexes it: see folding.py."""


class Transcript(Base):
    """A channel of a video that has been listened to or read, whatever came of it. Its lines are in `segments`, and
    `segment_words` indexes them (fulltext.py)."""

    __tablename__ = "transcripts"

    video_id: Mapped[int] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True)
    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    recipe: Mapped[str] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(Text)
    cause: Mapped[str | None] = mapped_column(Text)


class Passage(Base):
    """A few lines of one channel of words, as a vector (fp16) of a space of that channel."""

    __tablename__ = "passages"
    __table_args__ = (
        Index("passages_video", "video_id", "space_id"),
        Index("passages_change", "space_id", "change"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    video_id: Mapped[int] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    space_id: Mapped[int] = mapped_column(ForeignKey("spaces.id"))
    change: Mapped[int] = mapped_column(BigInteger)
    start_seconds: Mapped[float] = mapped_column(Float)
    end_seconds: Mapped[float] = mapped_column(Float)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class Removal(Base):
    """A vector that is gone, until every snapshot knows."""

    __tablename__ = "removals"
    __table_args__ = (Index("removals_change", "space_id", "change"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    space_id: Mapped[int] = mapped_column(Integer)
    scene_id: Mapped[int] = mapped_column(BigInteger)
    """Of a scene; in a space of words, of a passage."""
    change: Mapped[int] = mapped_column(BigInteger)
