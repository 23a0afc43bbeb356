"""The page, from top to bottom. Streamlit runs this script for each change; page_state.py keeps library and models."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from vsearch.errors import LibraryError, ModelError, QueryError, VsearchError
from vsearch.library import LibraryStatus
from vsearch.report import footage
from vsearch.settings import read_settings
from vsearch.ui.ask import Ask
from vsearch.ui.cards import cards
from vsearch.ui.form import without
from vsearch.ui.page_state import PAGE_SIZE, HitsPage, PageState, shared_state
from vsearch.ui.panels import example_panel, filters_panel, history_panel, index_form, job_panel
from vsearch.ui.results import STATIC, sent, show_results, static
from vsearch.ui.session import change, current, example, fill_widgets, go, message, set_example, show_message
from vsearch.ui.text import escaped, from_home, literal
from vsearch.ui.uploads import from_page

NEWEST = 12
KEYS = (
    '<div class="keys"><kbd>/</kbd> search · arrow keys move · <kbd>Enter</kbd> plays · <kbd>M</kbd> more like it · '
    "<kbd>N</kbd> <kbd>P</kbd> next, previous in the player · <kbd>Esc</kbd> closes</div>"
)
NO_HITS = HitsPage((), False, {}, 0.0, 0, searched=False)
SUGGESTIONS = ("a dog runs on a beach", "people dance at a party", "preparing food", "a street at night")


@st.cache_resource(show_spinner="Loading the model…")
def opened(library: str, model: str) -> PageState:
    """The state of the page with its models, loaded once for all browsers."""
    state = shared_state(read_settings())
    state.load()
    return state


def page() -> None:
    st.set_page_config("vsearch", str(STATIC / "icon.svg"), layout="wide", initial_sidebar_state="collapsed")
    st.html(f"<style>{static('page.css')}</style>")
    try:
        settings = read_settings()
        state = opened(str(settings.library), settings.model)
        st.session_state.default_weight = settings.speech_weight
    except VsearchError as error:
        st.error(literal(str(error)), icon=":material/error:")
        return
    ask = current()
    fill_widgets(ask)
    status, broken = read_status(state)
    if status is not None and ask.q != st.session_state.get("searched"):
        st.session_state.searched = ask.q
        state.history.add(ask.q)
    top(state, status)
    search_row(state, ask, *(([], []) if broken else (state.folders(), state.labels())))
    text = message()
    if text:
        st.error(literal(text), icon=":material/error:")
    job_panel(state)
    # Containers with keys: from one search to the next the results are updated, not created again.
    head, grid, foot = st.container(key="head"), st.container(key="grid"), st.container(key="foot")
    answer = NO_HITS
    with head:
        if broken:
            st.error(literal(broken), icon=":material/error:")
        elif status is None or status.videos == 0:
            nothing_indexed(state, status)
        elif ask.q or ask.like or ask.label or example():
            answer = results(state, ask, status)
        else:
            answer = welcome(state)
    with grid:
        show_results(
            cards(answer.hits, answer.best, status.change if status else 0),
            on_like=search_similar,
            on_picture=search_picture,
            on_problem=lambda: show_message(sent("problem")),
        )
    with foot:
        if answer.searched:
            pager(ask, answer)
        elif answer.hits:
            st.html(KEYS)


def read_status(state: PageState) -> tuple[LibraryStatus | None, str | None]:
    """The counts of the library (None: there is none), and the error where it cannot be read."""
    try:
        return state.status(), None
    except LibraryError as error:
        return None, str(error)


def top(state: PageState, status: LibraryStatus | None) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="top"):
        contents = f"library <code>{escaped(from_home(state.settings.library))}</code>"
        if status is not None:
            contents += f" · {status.videos} videos · {status.scenes} scenes · {footage(status.seconds)}"
        st.html(f'<div class="brand"><i>v</i>search</div><div class="holds">{contents}</div>', width="content")
        with st.popover("Add videos", icon=":material/add:", key="add"):
            index_form(state, "add")


def search_row(state: PageState, ask: Ask, folders: list[str], labels: list[str]) -> None:
    st.text_input(
        "Describe a moment",
        key="q",
        type="search",
        placeholder="Describe a moment: a dog runs on a beach",
        icon=":material/search:",
        label_visibility="collapsed",
        on_change=change,
    )
    with st.container(horizontal=True, key="tools"):
        example_panel()
        filters_panel(ask, folders, labels)
        history_panel(state)
        given = example()
        if given is not None:
            st.button(
                f"{literal(given.name)} ✕",
                key="drop_example",
                on_click=lambda: set_example(None),
                help="Remove the example",
            )
        if ask.like is not None:
            st.button("Like this scene ✕", key="drop_like", on_click=lambda: go(without(ask, "like")))
        for name, text in ask.filters.items():
            st.button(f"{literal(text)} ✕", key=f"drop_{name}", on_click=lambda name=name: go(without(ask, name)))


def results(state: PageState, ask: Ask, status: LibraryStatus) -> HitsPage:
    answer = search_once(state, ask, status.change)
    if answer is None:
        return NO_HITS
    if answer.hits:
        first = (ask.page - 1) * PAGE_SIZE
        many = "+" if answer.more else ""
        st.html(
            f'<div class="summary" role="status">Scenes {first + 1} to {first + len(answer.hits)}{many} · '
            f"{answer.seconds * 1000:.0f} ms</div>"
        )
    else:
        no_match(ask)
    if answer.missing:
        st.info(
            f"{answer.missing} videos are not encoded with this model yet and were not searched: "
            "index their folders again."
        )
    return answer


def pager(ask: Ask, answer: HitsPage) -> None:
    if ask.page == 1 and not answer.more:
        return
    with st.container(horizontal=True, horizontal_alignment="center", key="pager"):
        st.button("← Better", disabled=ask.page == 1, on_click=lambda: go(replace(ask, page=ask.page - 1)))
        st.button("More →", disabled=not answer.more, on_click=lambda: go(replace(ask, page=ask.page + 1)))


def search_once(state: PageState, ask: Ask, change_number: int) -> HitsPage | None:
    """The hits, kept until search or library change. None: the search failed, and the error is shown."""
    given = example()
    key = (ask, given and given.digest, change_number)
    kept = st.session_state.get("answer")
    if kept is not None and kept[0] == key:
        answer: HitsPage = kept[1]
        return answer
    try:
        if given is not None and given.kind == "clip":
            with st.spinner("Encoding the clip…"):
                answer = state.search(ask, given)
        else:
            answer = state.search(ask, given)
    except QueryError as error:
        st.warning(literal(str(error)), icon=":material/help:")
        return None
    except (VsearchError, ModelError) as error:
        st.error(literal(str(error)), icon=":material/error:")
        return None
    st.session_state.answer = (key, answer)
    return answer


def search_similar() -> None:
    scene = sent("like")
    if isinstance(scene, int):
        st.session_state.example = None
        go(replace(current(), q="", like=scene, page=1))


def search_picture() -> None:
    try:
        set_example(from_page(sent("picture")))
    except VsearchError as error:
        show_message(str(error))


def no_match(ask: Ask) -> None:
    hint = "Remove a filter, or use other words." if ask.filters else "Use other words, or index more videos."
    if '"' in ask.q:
        hint = "Words in quotes must occur exactly in speech or text. Remove the quotes to search frames, too."
    st.html(f'<div class="blank"><h2>No scene matches</h2><p>{hint}</p></div>')


def nothing_indexed(state: PageState, status: LibraryStatus | None) -> None:
    job = state.job
    if job is not None and not job.state.over:
        st.html(
            '<div class="blank"><h2>The first videos are being indexed</h2>'
            "<p>Each can be searched as soon as it is indexed.</p></div>"
        )
    else:
        what = "There is no library yet" if status is None else "The library is empty"
        st.html(
            f'<div class="blank"><h2>{what}</h2><p>Choose a folder with videos. vsearch indexes them once; '
            "then you find a moment by describing it. Nothing leaves this computer.</p></div>"
        )
        _, middle, _ = st.columns([1, 3, 1])
        with middle:
            index_form(state, "first")


def welcome(state: PageState) -> HitsPage:
    st.html(
        '<div class="blank"><h2>Which moment are you looking for?</h2>'
        "<p>Describe what the scene shows or what is spoken in it, or paste a picture.</p></div>"
    )
    suggestions = state.history.queries(4) or SUGGESTIONS
    with st.container(horizontal=True, horizontal_alignment="center", key="suggested"):
        for at, query in enumerate(suggestions):
            st.button(literal(query), key=f"suggested{at}", on_click=lambda query=query: go(Ask(q=query)))
    hits = state.recent(NEWEST)
    if hits:
        st.html('<div class="summary">New in your library</div>')
    return replace(NO_HITS, hits=tuple(hits))


page()
