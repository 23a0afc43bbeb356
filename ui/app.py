"""The page, from top to bottom. Streamlit runs it anew for every change; what is heavy is kept by service.py."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from vsearch.errors import LibraryError, ModelError, QueryError, VsearchError
from vsearch.library import LibraryStatus
from vsearch.report import footage
from vsearch.settings import read_settings
from vsearch.ui.ask import Ask
from vsearch.ui.cards import cards
from vsearch.ui.example import from_page
from vsearch.ui.form import without
from vsearch.ui.panels import example_panel, filters_panel, history_panel, index_form, job_panel
from vsearch.ui.results import STATIC, show_results, static, told
from vsearch.ui.service import PAGE_SIZE, Answer, Service, shared_service
from vsearch.ui.state import change, current, example, fill_widgets, go, set_example, told_trouble, trouble
from vsearch.ui.text import escaped, from_home, literal

NEWEST = 12
KEYS = (
    '<div class="keys"><kbd>/</kbd> search · arrow keys walk · <kbd>Enter</kbd> plays · <kbd>M</kbd> more like it · '
    "<kbd>N</kbd> <kbd>P</kbd> next, previous in the player · <kbd>Esc</kbd> closes</div>"
)
NO_ANSWER = Answer((), False, {}, 0.0, 0, asked=False)
SUGGESTIONS = ("a dog runs on a beach", "people dance at a party", "somebody preparing food", "a street at night")


@st.cache_resource(show_spinner="Loading the model…")
def opened(library: str, model: str) -> Service:
    """The library and the model, loaded once for all browsers."""
    service = shared_service(read_settings())
    service.load()
    return service


def page() -> None:
    st.set_page_config("vsearch", str(STATIC / "icon.svg"), layout="wide", initial_sidebar_state="collapsed")
    st.html(f"<style>{static('page.css')}</style>")
    try:
        settings = read_settings()
        service = opened(str(settings.library), settings.model)
        st.session_state.default_weight = settings.speech_weight
    except VsearchError as error:
        st.error(literal(str(error)), icon=":material/error:")
        return
    ask = current()
    fill_widgets(ask)
    status, broken = look(service)
    if status is not None and ask.q != st.session_state.get("asked"):
        st.session_state.asked = ask.q
        service.history.add(ask.q)
    top(service, status)
    search_row(service, ask, *(([], []) if broken else (service.folders(), service.labels())))
    text = told_trouble()
    if text:
        st.error(literal(text), icon=":material/error:")
    job_panel(service)
    # The scenes have a place of their own: from one question to the next they are changed, not made anew.
    head, grid, foot = st.container(key="head"), st.container(key="grid"), st.container(key="foot")
    answer = NO_ANSWER
    with head:
        if broken:
            st.error(literal(broken), icon=":material/error:")
        elif status is None or status.videos == 0:
            nothing_indexed(service, status)
        elif ask.q or ask.like or ask.label or example():
            answer = answered(service, ask, status)
        else:
            answer = welcome(service)
    with grid:
        show_results(
            cards(answer.hits, answer.best, status.change if status else 0),
            on_like=liked,
            on_picture=pictured,
            on_trouble=lambda: trouble(told("trouble")),
        )
    with foot:
        if answer.asked:
            pager(ask, answer)
        elif answer.hits:
            st.html(KEYS)


def look(service: Service) -> tuple[LibraryStatus | None, str | None]:
    """What the library holds (None: there is none), and what is wrong with it."""
    try:
        return service.status(), None
    except LibraryError as error:
        return None, str(error)


def top(service: Service, status: LibraryStatus | None) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="top"):
        held = f"library <code>{escaped(from_home(service.settings.library))}</code>"
        if status is not None:
            held += f" · {status.videos} videos · {status.scenes} scenes · {footage(status.seconds)}"
        st.html(f'<div class="brand"><i>v</i>search</div><div class="holds">{held}</div>', width="content")
        with st.popover("Add videos", icon=":material/add:", key="add"):
            index_form(service, "add")


def search_row(service: Service, ask: Ask, folders: list[str], labels: list[str]) -> None:
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
        history_panel(service)
        given = example()
        if given is not None:
            st.button(
                f"{literal(given.name)} ✕", key="drop_example", on_click=lambda: set_example(None), help="Take it away"
            )
        if ask.like is not None:
            st.button("Like this scene ✕", key="drop_like", on_click=lambda: go(without(ask, "like")))
        for name, said in ask.filters.items():
            st.button(f"{literal(said)} ✕", key=f"drop_{name}", on_click=lambda gone=name: go(without(ask, gone)))


def answered(service: Service, ask: Ask, status: LibraryStatus) -> Answer:
    answer = ask_once(service, ask, status.change)
    if answer is None:
        return NO_ANSWER
    if answer.hits:
        first = (ask.page - 1) * PAGE_SIZE
        many = "+" if answer.more else ""
        st.html(
            f'<div class="summary" role="status">Scenes {first + 1} to {first + len(answer.hits)}{many} · '
            f"{answer.seconds * 1000:.0f} ms</div>"
        )
    else:
        nothing_found(ask)
    if answer.missing:
        st.info(
            f"{answer.missing} videos are not encoded with this model yet and were not searched: "
            "index their folders again."
        )
    return answer


def pager(ask: Ask, answer: Answer) -> None:
    if ask.page == 1 and not answer.more:
        return
    with st.container(horizontal=True, horizontal_alignment="center", key="pager"):
        st.button("← Better", disabled=ask.page == 1, on_click=lambda: go(replace(ask, page=ask.page - 1)))
        st.button("More →", disabled=not answer.more, on_click=lambda: go(replace(ask, page=ask.page + 1)))


def ask_once(service: Service, ask: Ask, change_number: int) -> Answer | None:
    """The answer, kept for as long as nothing changes. None: it was told what is wrong."""
    given = example()
    key = (ask, given and given.digest, change_number)
    kept = st.session_state.get("answer")
    if kept is not None and kept[0] == key:
        answer: Answer = kept[1]
        return answer
    try:
        if given is not None and given.kind == "clip":
            with st.spinner("Looking at the clip…"):
                answer = service.search(ask, given)
        else:
            answer = service.search(ask, given)
    except QueryError as error:
        st.warning(literal(str(error)), icon=":material/help:")
        return None
    except (VsearchError, ModelError) as error:
        st.error(literal(str(error)), icon=":material/error:")
        return None
    st.session_state.answer = (key, answer)
    return answer


def liked() -> None:
    scene = told("like")
    if isinstance(scene, int):
        st.session_state.example = None
        go(replace(current(), q="", like=scene, page=1))


def pictured() -> None:
    try:
        set_example(from_page(told("picture")))
    except VsearchError as error:
        trouble(str(error))


def nothing_found(ask: Ask) -> None:
    hint = "Take a filter away, or use other words." if ask.filters else "Use other words, or index more videos."
    if '"' in ask.q:
        hint = "Words in quotes must be said exactly so. Leave the quotes out to search what can be seen, too."
    st.html(f'<div class="blank"><h2>Nothing fits</h2><p>{hint}</p></div>')


def nothing_indexed(service: Service, status: LibraryStatus | None) -> None:
    job = service.job
    if job is not None and not job.state.over:
        st.html(
            '<div class="blank"><h2>The first videos are on their way</h2>'
            "<p>They can be searched as they come.</p></div>"
        )
    else:
        what = "There is no library yet" if status is None else "The library is empty"
        st.html(
            f'<div class="blank"><h2>{what}</h2><p>Name a folder that holds videos. vsearch looks at them once; '
            "after that you find any moment by describing it. Nothing leaves this computer.</p></div>"
        )
        _, middle, _ = st.columns([1, 3, 1])
        with middle:
            index_form(service, "first")


def welcome(service: Service) -> Answer:
    st.html(
        '<div class="blank"><h2>Which moment are you looking for?</h2>'
        "<p>Describe what can be seen or heard, or paste a picture.</p></div>"
    )
    tried = service.history.queries(4) or SUGGESTIONS
    with st.container(horizontal=True, horizontal_alignment="center", key="suggested"):
        for at, query in enumerate(tried):
            st.button(literal(query), key=f"suggested{at}", on_click=lambda asked=query: go(Ask(q=asked)))
    hits = service.recent(NEWEST)
    if hits:
        st.html('<div class="summary">New in your library</div>')
    return replace(NO_ANSWER, hits=tuple(hits))


page()
