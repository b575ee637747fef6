"""How large files may be, and how long they may take."""

from __future__ import annotations

#: The largest file that is uploaded unless a caller says more: the service's own limit is unknown.
MAX_UPLOAD_BYTES = 25_000_000
#: The largest file that is downloaded unless a caller says more.
MAX_DOWNLOAD_BYTES = 100_000_000
#: A file may take the time that it needs at this speed, beside what any request may take.
SLOWEST_BYTES_PER_SECOND = 100_000.0
