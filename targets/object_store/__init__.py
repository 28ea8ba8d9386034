"""Files as the objects of a bucket, in the protocol of `targets.files`.

bucket  requests: one object, many at once, a listing; and their errors in one line
files   a tree of files below a prefix
memory  what this process has read, by tags
stamps  the stamps of a folder in one object, so that a year of days is known by two requests
lock    locks by conditional writes, which expire unless their holder renews them
holder  who holds a lock, and whether they are alive
"""

from targets.object_store.bucket import Bucket
from targets.object_store.files import ObjectFiles


def open_files(url: str) -> ObjectFiles:
    """The files below `s3://bucket/prefix`."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return ObjectFiles(Bucket(bucket), prefix.strip("/"))
