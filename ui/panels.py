"""The panels of the page: filters, example, earlier queries, the form to index a folder, and the index run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from vsearch.errors import VsearchError
from vsearch.report import clock, footage
from vsearch.ui.ask import CHANNELS, MAX_LABELS, Ask
from vsearch.ui.form import without_filters
from vsearch.ui.index_thread import IndexThread, ThreadState
from vsearch.ui.page_state import PageState
from vsearch.ui.session import change, clear_message, go, set_example, show_message
from vsearch.ui.text import literal
from vsearch.ui.uploads import CLIP_ENDINGS, CLIP_LIMIT, PICTURE_ENDINGS, from_upload

HISTORY_SHOWN = 12


def filters_panel(ask: Ask, folders: list[str], labels: list[str]) -> None:
    """folders: suggestions; others can be typed. labels: those of the library."""
    count = len(ask.filters)
    label = f"Filters ({count})" if count else "Filters"
    with st.popover(label, icon=":material/tune:", key="filters"):
        folder, language = st.columns([2, 1])
        folder.selectbox(
            "Folder",
            sorted({*folders, *([ask.folder] if ask.folder else [])}),
            key="folder",
            placeholder="Anywhere",
            accept_new_options=True,
            on_change=change,
        )
        language.text_input("Language", key="language", placeholder="such as en", max_chars=8, on_change=change)
        since, until = st.columns(2)
        since.date_input("Recorded from", key="since", value=None, on_change=change)
        until.date_input("to", key="until", value=None, on_change=change)
        shortest, longest = st.columns(2)
        number: dict[str, Any] = {"min_value": 0.0, "max_value": 86_400.0, "step": 1.0, "placeholder": "any"}
        shortest.number_input("Shortest scene, seconds", key="min_duration", value=None, on_change=change, **number)
        longest.number_input("Longest", key="max_duration", value=None, on_change=change, **number)
        if labels or ask.label:
            st.multiselect(
                "Labels",
                sorted({*labels, *ask.label}),
                key="label",
                placeholder="Any",
                max_selections=MAX_LABELS,
                on_change=change,
            )
        st.segmented_control(
            "Search",
            list(CHANNELS),
            format_func=lambda name: CHANNELS[name],
            key="channel",
            required=True,
            on_change=change,
        )
        st.slider("Weight of speech against frames", 0.0, 5.0, step=0.25, key="weight", on_change=change, format="%g")
        st.toggle("Only scenes with speech", key="has_speech", on_change=change)
        st.toggle("Exact moments instead of whole scenes", key="moments", on_change=change)
        st.button("Clear filters", key="clear", on_click=lambda: go(without_filters(ask)), disabled=not count)


def example_panel() -> None:
    with st.popover("Picture or clip", icon=":material/image_search:", key="example_panel"):
        st.markdown(
            "Find scenes that look like a picture or a short clip. "
            "A picture may also be **pasted**, or dropped anywhere on the page."
        )
        key = f"upload{st.session_state.setdefault('uploads', 0)}"
        st.file_uploader(
            "Picture or clip",
            type=[*PICTURE_ENDINGS, *CLIP_ENDINGS],
            key=key,
            max_upload_size=CLIP_LIMIT // 1_000_000,
            label_visibility="collapsed",
            on_change=lambda: _uploaded(key),
        )


def _uploaded(key: str) -> None:
    file = st.session_state.get(key)
    if file is None:
        return
    st.session_state.uploads += 1  # a new key is the only way to empty an uploader
    try:
        set_example(from_upload(file.name, file.getvalue()))
    except VsearchError as error:
        show_message(str(error))


def history_panel(state: PageState) -> None:
    queries = state.history.queries(HISTORY_SHOWN)
    with st.popover("Earlier", icon=":material/history:", key="history", disabled=not queries):
        for at, query in enumerate(queries):
            text = query if len(query) <= 60 else query[:59] + "…"
            st.button(literal(text), key=f"earlier{at}", type="tertiary", on_click=lambda asked=query: go(Ask(q=asked)))
        st.button("Clear the list", key="forget", icon=":material/delete:", on_click=state.history.clear)


def index_form(state: PageState, key: str) -> None:
    """The form to index a folder. key: prefix of its widgets; a page may have two forms."""
    with st.form(f"{key}_form", border=False):
        st.text_input(
            "Folder of videos on this computer",
            key=f"{key}_folder",
            placeholder=str(Path.home() / "Videos"),
            help="Subfolders are included. Files are never changed.",
        )
        st.checkbox("Transcribe speech, where a speech model is installed", value=True, key=f"{key}_speech")
        st.form_submit_button(
            "Index this folder", type="primary", icon=":material/add:", on_click=lambda: _start(state, key)
        )


def _start(state: PageState, key: str) -> None:
    form = st.session_state
    try:
        state.start_job(form[f"{key}_folder"], speech=form[f"{key}_speech"])
        clear_message()
    except VsearchError as error:
        show_message(str(error))


def job_panel(state: PageState) -> None:
    """The current index run, or the result of the last one until the user closes it."""
    job = state.job
    if job is None or st.session_state.get("read") is job:
        return
    with st.container(border=True, key="job"):
        if job.state.over:
            _ended(job)
        else:
            _running(job)


@st.fragment(run_every=1.0)
def _running(job: IndexThread) -> None:
    state = job.state
    run = state.run
    searchable = run.indexed + run.transcribed + run.ocr_videos
    if state.over or searchable != st.session_state.get("searchable", 0):
        st.session_state.searchable = searchable
        st.rerun()  # the whole page: new scenes can be searched
    line, stop = st.columns([5, 1], vertical_alignment="center")
    line.progress(state.share if run.total_final else min(state.share, 0.99), text=progress_text(state))
    stop.button("Stop", key="stop", on_click=job.stop, width="stretch")
    for path, cause in state.problems[-3:]:
        st.caption(f"Not used: {literal(path.name)}: {literal(cause)}")


def progress_text(state: ThreadState) -> str:
    """One line of Markdown."""
    run = state.run
    parts = [f"**Indexing** {literal(state.doing)}"]
    if run.total > 0:
        parts.append(f"{footage(run.done)} of {footage(run.total)}")
    if run.indexed:
        parts.append(f"{run.indexed} done")
    if state.elapsed > 3 and run.done > 0:
        parts.append(f"{state.speed:.1f}× real time")
    if state.left is not None:
        parts.append(f"{clock(state.left).rpartition('.')[0]} left")
    return " · ".join(parts)


def _ended(job: IndexThread) -> None:
    state = job.state
    kind, text = outcome(state)
    line, done = st.columns([5, 1], vertical_alignment="center")
    {"error": line.error, "warning": line.warning, "success": line.success}[kind](text)
    done.button("OK", key="read_job", on_click=lambda: st.session_state.update(read=job), width="stretch")
    problems = [(skipped.path, skipped.cause) for skipped in state.run.skipped] or state.problems
    if problems:
        with st.expander(f"{len(problems)} could not be used"):
            for path, cause in problems[:200]:
                st.caption(f"{literal(path)}: {literal(cause)}")


def outcome(state: ThreadState) -> tuple[str, str]:
    """How a run ended: "error", "warning" or "success", and a line of Markdown."""
    if state.error:
        return "error", f"Indexing ended early. {literal(state.error)} What was indexed before is kept."
    summary = state.run.summary
    if state.stopped or summary is None:
        return (
            "warning",
            f"Stopped after {_videos(state.run.indexed)}. They are kept; index the folder again to continue.",
        )
    parts = []
    if summary.indexed:
        parts.append(f"{_videos(summary.indexed)} indexed: {summary.scenes} scenes, {footage(summary.footage)}")
    if summary.unchanged:
        parts.append(f"{_videos(summary.unchanged)} unchanged")
    if summary.moved:
        parts.append(f"{summary.moved} moved or copied")
    if summary.transcribed:
        parts.append(f"speech of {summary.transcribed} files transcribed")
    if summary.skipped:
        parts.append(f"{len(summary.skipped)} could not be used")
    if not parts:
        return "warning", "There is no video in that folder."
    text = ", ".join(parts) + "."
    if summary.note:
        text += f" {literal(summary.note)}"
    return ("success" if summary.useful else "warning"), text


def _videos(count: int) -> str:
    return f"{count} video{'' if count == 1 else 's'}"
