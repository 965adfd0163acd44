"""The gallery of saliency maps: pictures, what stands above them, and damaged files."""

import base64
import io
import json
import re
import shutil

import numpy as np
from PIL import Image

import results
from results.analysis import configurations
from results.analysis.run_files import RunFiles
from results.page import gallery
from results.page.page import page
from study_common import digests
from tests.results import sample
from tests.results.page.html import data_of, elements


def test_a_gallery_of_colour_photographs_is_small(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    rng = np.random.default_rng(0)
    folder = copy / "trials" / "50"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "saliency.npz",
        images=rng.integers(0, 255, (20, 224, 224, 3), dtype=np.uint8),
        labels=np.zeros(20, int),
        predictions=np.ones(20, int),
        maps=rng.random((20, 224, 224)).astype(np.float16),
        class_names=np.array(["a", "b"]),
    )
    digests.seal(folder / "saliency.npz")
    strip = gallery.strip(RunFiles(copy), 50)
    assert len(strip.maps) < 100_000
    assert len(strip.images) < 100_000
    assert strip.captions == [("a", "b", False)] * gallery.MAX_IMAGES


def test_colour_images_are_shown_beneath_their_maps(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    folder = copy / "trials" / "50"
    folder.mkdir(parents=True, exist_ok=True)
    maps = np.tile(np.linspace(0, 1, 8, dtype=np.float16), (1, 8, 1))
    images = np.full((1, 8, 8, 3), (30, 60, 90), np.uint8)

    def pixels(pictures):
        np.savez(
            folder / "saliency.npz",
            images=pictures,
            labels=np.zeros(1, int),
            predictions=np.zeros(1, int),
            maps=maps,
            class_names=np.array(["a"]),
        )
        digests.seal(folder / "saliency.npz")
        uri = gallery.strip(RunFiles(copy), 50).maps
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))

    over, beside = pixels(images).astype(int), pixels(images[..., 0]).astype(int)
    assert abs(over[0, 0] - 30).max() < 5  # what counts for nothing: the image, grey and dim
    assert beside[0, 0].max() < 10
    assert (np.diff(over[0].sum(axis=-1)) > 0).all()  # what counts more is brighter


def test_removal_curves_are_shown(study):
    front = study.front()["number"]
    strip = gallery.strip(RunFiles(study.path), int(front.iloc[0]))
    assert strip.removal.groupby("order")["fraction"].max().to_dict() == {
        "morf": 0.9,
        "lerf": 0.9,
        "random": 0.9,
    }
    kept = {trace["name"]: trace for trace in data_of(page(study))["figures"]["saliency-0"]["data"]}
    assert list(kept) == ["least salient first", "in random order", "most salient first"]
    assert kept["in random order"]["y"][:2] == [1.0, 0.9]
    assert set(kept["in random order"]["customdata"]) == set(front[:3])


def test_every_examined_trial_is_listed(study_path, tmp_path):
    """In the gallery or not, the recommended first, with all that any of them was examined for."""
    copy = shutil.copytree(study_path, tmp_path / "copy")
    study = results.load(copy)
    best = int(study.recommend()["Most accurate"]["number"])
    complete = study.trials.loc[study.trials["state"] == "complete", "number"]
    first, last = complete.iloc[0], complete.iloc[-1]
    assert len({first, last, best}) == 3

    def examine(number, text):
        (copy / "trials" / str(number)).mkdir(parents=True, exist_ok=True)
        sample.write(copy / "trials" / str(number) / "faithfulness.json", text)

    assert "Maps that were examined further" not in page(study)
    found = {"faithfulness": 0.5, "faithfulness_zero_se": 0.1, "sanity.conv1": 0.2, "sanity_passed": True}
    examine(last, json.dumps(found))
    examine(first, '{"faithfulness": ')  # cut short
    examine(best, json.dumps({"faithfulness": 0.25, "ssim": 0.75}))
    html = page(study)
    table = html[html.index("Maps that were examined further") :].partition("</table>")[0]
    assert re.findall(r"<th [^>]*>(?:<[^>]*>)?([^<]*)", table) == [
        "trial", "faithfulness", "ssim", "sanity_passed", f"#{best}", f"#{last}"
    ]  # fmt: skip
    assert re.findall(r"<td[^>]*>([^<]*)", table) == ["0.25", "0.75", "-", "0.5", "-", "1"]


def test_the_float_model_stands_beside_the_trials_that_start_from_it(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    study = results.load(copy)
    first = int(study.front()["number"].iloc[0])
    assert "float model" not in page(study)
    before = elements(page(study)).count["img"]
    shutil.copytree(copy / "trials" / str(first), copy / "init")
    sample.write(copy / "init" / "curve.csv", "epoch,accuracy\n1,0.5\n2,0.9376\n")
    html = page(study)
    assert '<div class="head">float model<br>93.76 %</div>' in html
    assert elements(html).count["img"] == before + 1
    widths = configurations.layer_widths(study, study.trials.loc[first]).values()
    assert f"<br>weights {' '.join(str(w['weights']) for w in widths)}<br>inputs " in html
    (copy / "init" / "curve.csv").write_text("epoch,accuracy\n")  # cut short
    assert '<div class="head">float model<br>-</div>' in page(study)
    (copy / "init" / "curve.csv").unlink()
    assert '<div class="head">float model<br>-</div>' in page(study)
    sample.write_saliency(copy, 99, images=3)  # of other images
    shutil.copy(copy / "trials" / "99" / "saliency.npz", copy / "init")
    digests.seal(copy / "init" / "saliency.npz")
    assert "float model" not in page(study)


def test_damaged_saliency_is_left_out(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    study = results.load(copy)
    number = int(study.front()["number"].iloc[0])
    file = copy / "trials" / str(number) / "saliency.npz"
    with np.load(file) as arrays:
        np.savez_compressed(file, **arrays)  # as trainables writes it
    digests.seal(file)
    whole = file.read_bytes()
    assert gallery.strip(RunFiles(copy), number) is not None
    assert gallery.strip(RunFiles(copy), 10_000) is None
    for size in (0, 1, 100, len(whole) // 2):
        file.write_bytes(whole[:size])
        assert gallery.strip(RunFiles(copy), number) is None
    knee = int(study.recommend()["Knee"]["number"])
    (copy / "trials" / str(knee) / "saliency.npz").write_bytes(b"junk")
    told = re.search("missing or damaged: trial ([^.]*)", page(study))
    assert told
    assert str(knee) in told[1].split(", trial ")
    missing = 0
    for start in range(0, len(whole), 97):
        file.write_bytes(whole[:start] + bytes(64) + whole[start + 64 :])
        missing += (
            gallery.strip(RunFiles(copy), number) is None
        )  # some bytes tell nothing, but none ends the report
    assert missing > 10
