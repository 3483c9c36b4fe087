"""Make the files of the built-in placeholder: `python scripts/mist.py` writes service/sessions/mist/.

They are committed, so that the server needs no renderer to have them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from clips.camera_path import CameraPath, PathKind  # noqa: E402
from clips.video import write_mp4  # noqa: E402
from recon.export.fourdgs_file import write_4dgs  # noqa: E402
from recon.mist import mist_clip, mist_scene  # noqa: E402

FOLDER = ROOT / "service" / "sessions" / "mist"
FRAMES, FPS, SEED = 24, 12.0, 0
WIDTH, HEIGHT, SCALE = 192, 128, 2


def main() -> None:
    """Write video, scene and what the catalogue says of them."""
    FOLDER.mkdir(exist_ok=True)
    cameras = CameraPath(PathKind.STILL, start_z_m=0.3).cameras(FRAMES, WIDTH, HEIGHT)
    write_mp4(mist_clip(cameras, FPS, SEED).frames, FOLDER / "mist.mp4", FPS, scale=SCALE)
    scene = mist_scene(FRAMES / FPS, SEED)
    write_4dgs(scene, FOLDER / "mist.4dgs", {"made_by": "scripts/mist.py", "seed": str(SEED)})
    facts = {"duration_s": FRAMES / FPS, "splats": len(scene), "seed": SEED}
    (FOLDER / "mist.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
