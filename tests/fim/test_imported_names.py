"""The way from an import to a declaration: through other modules, without reading any of them twice."""

from collections import Counter

from quicksilver.fim.workspace.files import SourceFile, read_source
from quicksilver.fim.workspace.imported_names import Importer, imported_names
from quicksilver.fim.workspace.imports import find_imports
from quicksilver.fim.workspace.index import WorkspaceIndex
from quicksilver.fim.workspace.sources import Library


class CountingLibrary(Library):
    def __init__(self, folder, files):
        index = WorkspaceIndex()
        for path, text in files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text)
            file = SourceFile(str(folder), path)
            read = read_source(file, 10**6)
            assert read is not None
            index.put(file, read[1], read[0])
        super().__init__(index)
        self.n_read = Counter()

    def current_text(self, file):
        self.n_read[file.path] += 1
        return super().current_text(file)


def heads(library, text, near):
    here = SourceFile(next(iter(library.index.files()))[0].root, "main.py")
    importer = Importer(text, "python", here, frozenset(near.split()))
    return [name.declaration.head for name in imported_names(importer, find_imports(text, "python"), library)]


def test_a_name_comes_through_other_modules_under_other_names(tmp_path):
    files = {
        "p/__init__.py": "from .a import two as three\n",
        "p/a.py": "from .b import one as two\n",
        "p/b.py": "def one(): ...\n",
        "q.py": "def used(): ...\ndef unused(): ...\n",
    }
    library = CountingLibrary(tmp_path, files)
    assert heads(library, "from p import three\n", "three") == ["def one(): ..."]
    assert heads(library, "from p import three\n", "four") == []
    assert heads(library, "import q\nq.used()\n", "q used unused") == ["def used(): ..."]
    assert heads(library, "from p import a as m\nm.two\n", "m two") == []


def test_modules_that_import_each_other_are_read_once(tmp_path):
    names = [f"n{number}" for number in range(9)]
    text = "".join(f"from .{name} import {', '.join(f'x{other}' for other in range(9))}\n" for name in names)
    library = CountingLibrary(tmp_path, {f"p/{name}.py": text for name in names})
    wanted = ", ".join(f"x{number}" for number in range(9))
    assert heads(library, f"from p.n0 import {wanted}\n", wanted.replace(",", "")) == []
    assert max(library.n_read.values()) <= 2  # for what it declares and for what it imports


def test_very_many_modules_are_not_all_read(tmp_path):
    files = {f"m{number}.py": f"from m{number + 1} import a, b\n" * 3 for number in range(300)}
    library = CountingLibrary(tmp_path, files)
    text = "".join(f"from m{number} import a\n" for number in range(0, 300, 3))
    assert heads(library, text, "a") == []
    assert len(library.n_read) <= 40
