"""The cases that are the same for OpenAI's Python client at every server, and for Groq's client, which resembles it."""

from harness import SEVERAL_MB, equal, raises


class Cases:
    """`create` uploads a file to `files`. `missing` contains the arguments of `raises` for an unknown file."""

    def __init__(self, files, create, *missing):
        self.files, self.create, self.missing = files, create, missing

    def empty_file(self):
        file = self.create(b"")
        equal((file.bytes, self.files.content(file.id).read()), (0, b""))

    def several_mb(self):
        equal(self.files.content(self.create(SEVERAL_MB).id).read(), SEVERAL_MB)

    def list(self, **ascending):
        newest = [self.create().id for _ in range(5)][::-1]
        pages = [page.data for page, _ in zip(self.files.list(limit=2).iter_pages(), range(3))]
        equal([file.id for page in pages for file in page][:5], newest)
        listed = [file.id for file in self.files.list(limit=2, order="asc", **ascending)]
        equal((listed[-5:], len(set(listed))), (newest[::-1], len(listed)))

    def delete(self, **options):
        file = self.create()
        gone = self.files.delete(file.id, **options)
        equal((gone.id, gone.object, gone.deleted), (file.id, "file", True))

    def second_delete(self):
        file = self.create()
        self.files.delete(file.id)
        with raises(*self.missing):
            self.files.delete(file.id)
