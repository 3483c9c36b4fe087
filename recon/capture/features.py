"""Features: what pictures share, by SIFT on the CPU (COLMAP through pycolmap), in a database in a folder."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap
from PIL import Image

from recon.capture.settings import CaptureSettings

Tell = Callable[[str, float], None]
"""Called with a stage's name and how much of it is done, 0 to 1."""

EXHAUSTIVE_UP_TO = 40
_AT_ONCE = 6
_QUIET = 3
_PEAK_THRESHOLD = 0.004


@dataclass(frozen=True)
class Optics:
    """A camera in COLMAP's words: the name of its model and its parameters, pixels."""

    model: str
    params: tuple[float, ...]


@dataclass(frozen=True)
class Shared:
    """Pictures and what they share, as files that COLMAP reads; they live as long as their folder.

    Attributes:
        database: of features and matches.
        pictures: folder of the pictures, named by `picture_name`.
        image_ids: COLMAP's id of each frame, (T,).
    """

    database: Path
    pictures: Path
    image_ids: tuple[int, ...]

    def features(self) -> list[np.ndarray]:
        """Positions of each frame's features in pixels, (F, 2) each; the first pixel's centre lies at 0.5."""
        with pycolmap.Database.open(self.database) as database:
            return [_positions(database, image) for image in self.image_ids]

    def matches(self) -> list[tuple[int, int, np.ndarray]]:
        """(frame, later frame, feature pairs (M, 2)) by descriptors alone, wrong ones among them."""
        pairs = []
        with pycolmap.Database.open(self.database) as database:
            for pair, found in zip(*database.read_all_matches(), strict=True):
                pairs.append((*pycolmap.pair_id_to_image_pair(pair), np.asarray(found, np.int64)))
        return self._by_frame(pairs)

    def verified(self) -> list[tuple[int, int, np.ndarray]]:
        """(frame, later frame, feature pairs (M, 2)) of the matches that one camera movement explains."""
        pairs = []
        with pycolmap.Database.open(self.database) as database:
            for pair, geometry in zip(*database.read_two_view_geometries(), strict=True):
                pairs.append((*pycolmap.pair_id_to_image_pair(pair), np.asarray(geometry.inlier_matches, np.int64)))
        return self._by_frame(pairs)

    def _by_frame(self, pairs: list[tuple[int, int, np.ndarray]]) -> list[tuple[int, int, np.ndarray]]:
        frame = {image: index for index, image in enumerate(self.image_ids)}
        found = []
        for one, other, matches in pairs:
            a, b = frame[one], frame[other]
            found.append((a, b, matches.reshape(-1, 2)) if a < b else (b, a, matches.reshape(-1, 2)[:, ::-1]))
        return sorted(found, key=lambda row: row[:2])


def share(
    frames: Sequence[np.ndarray],
    optics: Sequence[Optics],
    folder: Path,
    settings: CaptureSettings,
    *,
    in_sequence: bool,
    tell: Tell,
) -> Shared:
    """What `frames` (H, W, 3) share; files are written into `folder`.

    `optics` is one for all frames, or one for each.
    Frames in sequence are matched with their next settings.overlap_frames and some farther ones; up to
    EXHAUSTIVE_UP_TO frames, and all frames that are in no sequence, are matched with all others.
    """
    _take_signals_back()
    pycolmap.logging.minloglevel = _QUIET
    pycolmap.set_random_seed(settings.seed)
    pictures, database = folder / "pictures", folder / "database.db"
    pictures.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(pictures / picture_name(index), compress_level=1)
    image_ids = _register_pictures(database, pictures, len(frames), optics)
    for begin in range(0, len(frames), _AT_ONCE):
        tell("features", begin / len(frames))
        names = [picture_name(index) for index in range(begin, min(begin + _AT_ONCE, len(frames)))]
        _extract(database, pictures, names, settings)
    tell("matches", 0.0)
    _match(database, len(frames), settings, in_sequence=in_sequence)
    return Shared(database, pictures, image_ids)


def _take_signals_back() -> None:
    """SIGTERM does again what the program wants: pycolmap's log takes it on import, to print a stack and die."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM) or signal.SIG_DFL)


def picture_name(index: int) -> str:
    """The file name of frame `index`."""
    return f"{index:06d}.png"


def _register_pictures(database: Path, pictures: Path, count: int, optics: Sequence[Optics]) -> tuple[int, ...]:
    """Ids of the frames, given in their order: extraction alone would give them in the order of its threads."""
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = optics[0].model
    reader.camera_params = ",".join(repr(float(value)) for value in optics[0].params)
    mode = pycolmap.CameraMode.SINGLE if len(optics) == 1 else pycolmap.CameraMode.PER_IMAGE
    names = [picture_name(index) for index in range(count)]
    pycolmap.Database.open(database).close()
    pycolmap.import_images(database, pictures, mode, image_names=names, options=reader)
    with pycolmap.Database.open(database) as opened:
        images = {image.name: image for image in opened.read_all_images()}
        if len(optics) > 1:
            for name, own in zip(names, optics, strict=True):
                camera = opened.read_camera(images[name].camera_id)
                camera.params = list(own.params)
                opened.update_camera(camera)
    return tuple(int(images[name].image_id) for name in names)


def _extract(database: Path, pictures: Path, names: list[str], settings: CaptureSettings) -> None:
    options = pycolmap.FeatureExtractionOptions()
    options.num_threads, options.use_gpu = settings.threads, False
    options.sift.max_num_features = settings.max_features
    # Plain walls are common indoors: fainter corners than COLMAP's own choice are still repeatable.
    options.sift.peak_threshold = _PEAK_THRESHOLD
    reader = pycolmap.ImageReaderOptions()
    pycolmap.extract_features(
        database, pictures, image_names=names, reader_options=reader,
        extraction_options=options, device=pycolmap.Device.cpu,
    )  # fmt: skip


def _match(database: Path, count: int, settings: CaptureSettings, *, in_sequence: bool) -> None:
    options = pycolmap.FeatureMatchingOptions()
    options.num_threads, options.use_gpu = settings.threads, False
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = settings.seed
    if count <= EXHAUSTIVE_UP_TO or not in_sequence:
        pycolmap.match_exhaustive(
            database, matching_options=options, verification_options=verification, device=pycolmap.Device.cpu
        )
        return
    pairing = pycolmap.SequentialPairingOptions()
    pairing.overlap, pairing.quadratic_overlap, pairing.num_threads = settings.overlap_frames, True, settings.threads
    pycolmap.match_sequential(
        database, matching_options=options, pairing_options=pairing, verification_options=verification,
        device=pycolmap.Device.cpu,
    )  # fmt: skip


def _positions(database: pycolmap.Database, image: int) -> np.ndarray:
    return (
        np.asarray(database.read_keypoints(image), dtype=np.float64).reshape(-1, 6)[:, :2]
        if database.exists_keypoints(image)
        else np.zeros((0, 2))
    )
