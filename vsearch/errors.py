"""The exceptions of vsearch.

VsearchError
├── InputError               the input cannot be used
│   ├── PathError            a file or folder is missing, empty or unreadable
│   ├── MediaError           a file is not a video that can be decoded
│   └── QueryError           a query or filter is invalid
├── LibraryError             the library folder cannot be used
│   ├── LibraryMissing       there is no library at that path
│   ├── LibraryLocked        another process is writing to it
│   ├── LibraryTooNew        it was written by a newer vsearch
│   ├── LibraryReadOnly      it cannot be written to
│   ├── LibraryFull          the disk is full
│   └── LibraryDamaged       the catalog fails its own checks
└── ModelError               a model cannot be used
    ├── UnknownModel         no model has that name
    └── ModelDamaged         its folder is incomplete or fails its checksums

A message is one line that says how to proceed. Only the cli package prints and exits.
"""


class VsearchError(Exception):
    """Base class of all exceptions of vsearch."""


class InputError(VsearchError):
    """The input cannot be used."""


class PathError(InputError):
    """A file or folder is missing, empty or unreadable."""


class MediaError(InputError):
    """A file is not a video that can be decoded."""


class QueryError(InputError):
    """A query or filter is invalid."""


class LibraryError(VsearchError):
    """The library folder cannot be used."""


class LibraryMissing(LibraryError):
    """There is no library at that path."""


class LibraryLocked(LibraryError):
    """Another process is writing to the library."""


class LibraryTooNew(LibraryError):
    """The library was written by a newer vsearch."""


class LibraryReadOnly(LibraryError):
    """The library cannot be written to."""


class LibraryFull(LibraryError):
    """The disk is full; everything written before is kept."""


class LibraryDamaged(LibraryError):
    """The catalog fails its own checks."""


class ModelError(VsearchError):
    """A model cannot be used."""


class UnknownModel(ModelError):
    """No model has that name."""


class ModelDamaged(ModelError):
    """A model folder is incomplete or fails its checksums."""
