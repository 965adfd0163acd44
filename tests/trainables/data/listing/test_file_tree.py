"""What is below a folder: images, what is ignored and why, and nothing that hangs."""

import os
import socket

import pytest

from study_common.errors import UserError
from tests.trainables.data.pictures import fresh, noise, refused, two_classes
from trainables.data.listing.file_tree import printable, scan


def test_every_file_is_an_image_or_ignored_with_a_reason(tmp_path):
    for name in ("a/0.png", "a/B.JPG", "a/deep/1.tif", "b/scan.dcm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for name in ("notes.txt", "README", ".DS_Store", "a/.hidden.png", "a/._0.png", ".ipynb_checkpoints/2.png",
                 "a/__MACOSX/3.png", "b/@eaDir/4.png", "b/5.nii.gz"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    tree = scan(tmp_path)
    assert [file.path for file in tree.images] == ["a/0.png", "a/B.JPG", "a/deep/1.tif", "b/scan.dcm"]
    assert [tuple(left_out) for left_out in tree.ignored] == [
        (".DS_Store", "hidden"),
        (".ipynb_checkpoints", "hidden"),
        ("README", "not an image: no suffix"),
        ("a/._0.png", "hidden"),
        ("a/.hidden.png", "hidden"),
        ("a/__MACOSX", "a folder of thumbnails"),
        ("b/5.nii.gz", "not an image: .gz"),
        ("b/@eaDir", "a folder of thumbnails"),
        ("notes.txt", "not an image: .txt"),
    ]


def test_hidden_folders_are_no_classes(tmp_path):
    folder = two_classes(tmp_path / "set")
    noise(folder / ".ipynb_checkpoints" / "0.png", 90)
    noise(folder / "class 0" / ".ipynb_checkpoints" / "0.png", 91)
    noise(folder / "@eaDir" / "0.png", 92)
    data = fresh("folder", folder)
    assert data.class_names == ("class 0", "class 1")
    assert len(data.train.labels) == 16


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a folder"])
def test_what_is_no_file_is_named_and_nothing_hangs(tmp_path, kind):
    folder = two_classes(tmp_path / "set")
    path = folder / "class 0" / "x.png"
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.mkdir()
        assert len(fresh("folder", folder).train.labels) == 16
        return
    assert "1 of 21 images" in refused("folder", folder)
    assert "(class 0/x.png: not a regular file)" in refused("folder", folder)
    assert len(fresh("folder", folder, on_bad_image="skip").train.labels) == 16


def test_a_link_to_itself_is_a_bad_image_and_a_loop_of_folders_is_refused(tmp_path):
    folder = two_classes(tmp_path / "set")
    loop = folder / "class 0" / "loop.png"
    loop.symlink_to(loop)
    assert "class 0/loop.png: Too many levels of symbolic links" in refused("folder", folder)
    loop.unlink()
    (folder / "class 0" / "again").symlink_to(folder)
    assert "again is a link to a folder that contains it; remove it" in refused("folder", folder)


def test_links_to_folders_inside_are_followed(tmp_path):
    folder = two_classes(tmp_path / "set")
    noise(tmp_path / "set" / ".store" / "0.png", 77)
    (folder / "class 0" / "more").symlink_to(folder / ".store")
    assert [f.path for f in scan(folder).images if "more" in f.path] == ["class 0/more/0.png"]


def test_a_changed_file_has_another_stamp(tmp_path):
    path = noise(tmp_path / "0.png", 0)
    (before,) = scan(tmp_path).images
    content, times = bytearray(path.read_bytes()), path.stat()
    content[40] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a tool that keeps times does
    (after,) = scan(tmp_path).images
    assert before.stamp != after.stamp


def test_what_a_terminal_would_obey_is_escaped_in_messages(tmp_path):
    folder = two_classes(tmp_path / "set")
    (folder / "class 0" / "\x1b[2J\n.png").write_text("no image")
    assert "class 0/\\x1b[2J\\n.png: it is none of JPEG" in refused("folder", folder)
    assert printable("ü 😀") == "ü 😀"


def test_an_error_names_the_folder_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()

    def scandir(place):
        raise PermissionError(13, "Permission denied", place)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UserError, match=r"may not be read; change its permissions$"):
        scan(tmp_path)
