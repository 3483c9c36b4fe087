# The commands of the house. `make demo` and `make test` are all that a newcomer needs.
.PHONY: setup demo test check format proto bench train lock
PY := .venv/bin/python

setup:  ## make .venv with the locked dependencies
	@scripts/setup.sh

demo: setup  ## a real game plays through its gates; pictures and scenes land in out/demo
	@.venv/bin/narthex demo --out out/demo

test: check  ## everything that must hold: lint, types, contracts, tests
	@$(PY) -m pytest -m "not gpu"

check: setup  ## ruff, strict types, import contracts, buf lint and breaking
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@$(PY) scripts/proto.py lint
	@.venv/bin/lint-imports --no-cache
	@$(PY) -m mypy

format: setup  ## put every file into the house's form
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

proto: setup  ## make the stubs of the wire contract anew
	@$(PY) scripts/proto.py generate

bench: setup  ## every benchmark, each held against its aims
	@$(PY) -m benchmarks --check

VAE_MINUTES := 120
DIT_MINUTES := 284
train: setup  ## train the embedded model from nothing (resumes where it stopped); seven hours on two cores
	@.venv/bin/narthex train vae --out runs/vae --minutes $(VAE_MINUTES) --resume
	@.venv/bin/narthex train latents --vae runs/vae/vae.safetensors & filler=$$!; trap "kill $$filler 2>/dev/null" EXIT; \
	  .venv/bin/narthex train dit --out runs/dit --minutes $(DIT_MINUTES) --vae runs/vae/vae.safetensors --resume

lock: setup  ## write requirements.lock from what .venv holds
	@$(PY) scripts/lock.py
