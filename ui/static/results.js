// The results: a grid of scenes, and a player in a dialog. File names and transcripts are set as text, never as HTML.
// Messages to Python: "like" (a scene id), "picture" (a pasted or dropped file), "problem" (a text to show).

const SEARCH_BOX = '.st-key-q input';
const PICTURE_LIMIT = 20_000_000;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function button(className, text, label, act) {
  const element = make('button', className, text);
  element.type = 'button';
  element.setAttribute('aria-label', label);
  element.title = label;
  element.onclick = (event) => { event.stopPropagation(); act(); };
  return element;
}

function pieces(line) {
  const segment = make('span');
  for (const [text, matched] of line.pieces) segment.append(make(matched ? 'mark' : 'span', '', text));
  return segment;
}

function barsOf(hit) {
  const bars = make('div', 'bars');
  for (const bar of hit.bars) {
    const row = make('div', 'bar');
    row.title = `${bar.name} ${bar.value}`;
    const track = make('span', 'track');
    const fill = make('span', 'fill');
    fill.style.width = `${Math.max(2, bar.share * 100)}%`;
    fill.dataset.channel = bar.name;
    track.append(fill);
    row.append(make('span', 'channel', bar.name), track, make('span', 'value', bar.value));
    bars.append(row);
  }
  return bars;
}

function cardOf(hit, position, actions) {
  const card = make('article', 'card');
  card.tabIndex = position === 0 ? 0 : -1;
  card.dataset.position = position;
  card.setAttribute('role', 'button');
  card.setAttribute('aria-label', `${hit.name}, ${hit.time}. Enter plays, M finds more like it.`);

  const still = make('div', 'still');
  const picture = make('img');
  picture.alt = '';
  picture.decoding = 'async';
  picture.loading = position < 12 ? 'eager' : 'lazy';
  picture.onerror = () => still.classList.add('blank');
  picture.onload = () => still.classList.add('ready');
  picture.src = hit.picture;
  still.append(picture, make('span', 'play', '▶'), make('span', 'length', hit.length));

  const text = make('div', 'text');
  const name = make('div', 'name', hit.name);
  name.title = `${hit.folder}/${hit.name}`;
  const line = make('div', 'line');
  line.append(make('span', 'time', hit.time));
  line.append(button('like', 'More like this', `More like ${hit.name}, ${hit.time}`, () => actions.like(hit)));
  text.append(name, line);
  if (hit.bars.length) text.append(barsOf(hit));
  if (hit.words.length) {
    const words = make('p', 'words');
    hit.words.forEach((segment, at) => { if (at) words.append(' '); words.append(pieces(segment)); });
    text.append(words);
  }
  card.append(still, text);
  card.onclick = () => actions.play(position);
  return card;
}

// -- the player

class Player {
  constructor(root, actions) {
    this.actions = actions;
    this.hits = [];
    this.position = -1;
    this.request = 0;
    this.dialog = root.querySelector('dialog');
    this.stage = root.querySelector('.stage');
    this.video = root.querySelector('video');
    this.wait = root.querySelector('.wait');
    this.name = root.querySelector('.player-name');
    this.time = root.querySelector('.player-time');
    this.note = root.querySelector('.player-note');
    this.words = root.querySelector('.player-words');
    const act = (name, what) => { root.querySelector(name).onclick = what; };
    act('.close', () => this.dialog.close());
    act('.again', () => this.again());
    act('.previous', () => this.show(this.position - 1));
    act('.next', () => this.show(this.position + 1));
    act('.player-like', () => { const hit = this.hits[this.position]; this.dialog.close(); actions.like(hit); });
    this.dialog.onclick = (event) => { if (event.target === this.dialog) this.dialog.close(); };
    this.dialog.onclose = () => this.closed();
    this.dialog.onkeydown = (event) => this.key(event);
    this.video.onerror = () => this.failed();
    this.video.onplaying = () => this.showStatus('');
    this.video.onseeked = () => this.showStatus('');
  }

  async show(position) {
    if (position < 0 || position >= this.hits.length) return;
    this.position = position;
    const hit = this.hits[position];
    const request = ++this.request;
    this.name.textContent = hit.name;
    this.name.title = `${hit.folder}/${hit.name}`;
    this.time.textContent = `${hit.time}  (${hit.length})`;
    this.note.textContent = '';
    this.words.replaceChildren(...hit.words.map((segment) => {
      const line = make('p');
      line.append(button('stamp', segment.at, `Play from ${segment.at}`, () => this.seek(segment.start)), pieces(segment));
      return line;
    }));
    this.unload();
    this.video.poster = hit.picture;
    if (!this.dialog.open) this.dialog.showModal();
    this.video.focus({ preventScroll: true });
    await this.load(hit.play, request);
  }

  // Ask the server what to play: the file itself, or a clip that every browser plays.
  async load(address, request) {
    this.showStatus('Opening…');
    const timer = setTimeout(() => { if (request === this.request) this.showStatus('Making a clip that browsers can play…'); }, 900);
    try {
      const answer = await fetch(address);
      const playback = await answer.json();
      if (request !== this.request) return;
      if (!answer.ok) { this.showStatus(playback.error || 'This cannot be played.', true); return; }
      this.playback = playback;
      this.note.textContent = playback.note || '';
      this.video.dataset.kind = playback.kind;
      this.video.src = `${playback.url}#t=${playback.start}`;
      this.video.onloadedmetadata = () => {
        if (request !== this.request) return;
        this.video.currentTime = playback.start;
        this.video.play().catch(() => this.showStatus('')); // the browser may require a click on the controls first
      };
      this.video.load();
    } catch {
      if (request === this.request) this.showStatus('vsearch does not respond: is it still running?', true);
    } finally {
      clearTimeout(timer);
    }
  }

  failed() {
    if (!this.playback || !this.video.getAttribute('src')) return;
    if (this.playback.kind === 'original') { // the server's check was wrong: request a clip
      this.load(`${this.hits[this.position].play}&clip=1`, ++this.request);
    } else {
      this.showStatus('The browser cannot play this clip.', true);
    }
  }

  // seconds: time in the file, also while a clip of it is loaded.
  seek(seconds) {
    if (!this.playback) return;
    this.video.currentTime = Math.max(0, seconds - this.playback.offset);
    this.video.play().catch(() => {});
  }

  again() {
    if (this.playback) { this.video.currentTime = this.playback.start; this.video.play().catch(() => {}); }
  }

  showStatus(text, wrong = false) {
    this.wait.textContent = text;
    this.wait.hidden = !text;
    this.wait.classList.toggle('wrong', wrong);
  }

  unload() {
    this.playback = null;
    this.video.pause();
    this.video.removeAttribute('src');
    this.video.load();
  }

  closed() {
    ++this.request;
    this.unload();
    this.actions.focus(this.position);
  }

  key(event) {
    event.stopPropagation(); // not a shortcut of the page
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      n: () => this.show(this.position + 1),
      p: () => this.show(this.position - 1),
      m: () => this.dialog.querySelector('.player-like').click(),
      a: () => this.again(),
    };
    const act = acts[event.key.toLowerCase()];
    if (act) { event.preventDefault(); act(); }
  }
}

// -- the keyboard, and pasted or dropped pictures

function typing(event) {
  const target = event.composedPath()[0];
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
}

function columns(cards) {
  if (!cards.length) return 1;
  const top = cards[0].offsetTop;
  const second = cards.findIndex((card) => card.offsetTop > top);
  return second < 0 ? cards.length : second;
}

function focusOn(cards, position) {
  const card = cards[position];
  if (!card) return;
  for (const other of cards) other.tabIndex = -1;
  card.tabIndex = 0;
  card.focus();
}

function gridKey(event, state) {
  const { cards } = state;
  const at = Number(event.target.closest('.card')?.dataset.position ?? -1);
  if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const wide = columns(cards);
  const moves = {
    ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + wide, ArrowUp: at - wide, Home: 0, End: cards.length - 1,
  };
  if (event.key in moves) {
    event.preventDefault();
    if (moves[event.key] < 0) searchBox()?.focus();
    else focusOn(cards, Math.min(moves[event.key], cards.length - 1));
  } else if ((event.key === 'Enter' || event.key === ' ') && event.target.classList.contains('card')) {
    event.preventDefault();
    state.player.show(at);
  } else if (event.key.toLowerCase() === 'm') {
    event.preventDefault();
    state.actions.like(state.hits[at]);
  }
}

const searchBox = () => document.querySelector(SEARCH_BOX);

function pageKey(event, state) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === '/' && !typing(event) && !state.player.dialog.open) {
    event.preventDefault();
    searchBox()?.focus();
    searchBox()?.select();
  } else if (event.key === 'ArrowDown' && event.target === searchBox() && state.cards.length) {
    event.preventDefault();
    focusOn(state.cards, 0);
  }
}

function pictureIn(files) {
  return [...files].find((file) => file.type.startsWith('image/'));
}

function send(file, actions) {
  if (file.size > PICTURE_LIMIT) { actions.problem(`The picture is larger than ${PICTURE_LIMIT / 1e6} MB.`); return; }
  const reader = new FileReader();
  reader.onload = () => actions.picture({ name: file.name, data: String(reader.result).split(',')[1] || '', at: Date.now() });
  reader.onerror = () => actions.problem('The picture cannot be read.');
  reader.readAsDataURL(file);
}

const states = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let state = states.get(parentElement);
  if (!state) {
    state = { hits: [], cards: [], shown: undefined };
    const actions = {
      like: (hit) => state.tell('like', hit.id),
      picture: (picture) => state.tell('picture', picture),
      problem: (text) => state.tell('problem', text),
      play: (position) => state.player.show(position),
      focus: (position) => focusOn(state.cards, position),
    };
    state.actions = actions;
    state.player = new Player(parentElement, actions);
    states.set(parentElement, state);
    if (data.focus) searchBox()?.focus();
  }
  state.tell = setTriggerValue;
  const shown = JSON.stringify(data.hits);
  if (shown !== state.shown) { // unchanged hits keep focus and player
    state.shown = shown;
    state.hits = state.player.hits = data.hits;
    state.cards = data.hits.map((hit, position) => cardOf(hit, position, state.actions));
    parentElement.querySelector('.grid').replaceChildren(...state.cards);
  }
  parentElement.querySelector('.grid').onkeydown = (event) => gridKey(event, state);

  const onKey = (event) => pageKey(event, state);
  const onPaste = (event) => {
    const picture = pictureIn(event.clipboardData?.files ?? []);
    if (picture) { event.preventDefault(); send(picture, state.actions); }
  };
  const onDrag = (event) => { if (event.dataTransfer?.types.includes('Files')) event.preventDefault(); };
  const onDrop = (event) => {
    if (event.target.closest?.('[data-testid="stFileUploader"]')) return;
    const picture = pictureIn(event.dataTransfer?.files ?? []);
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
    if (picture) send(picture, state.actions);
  };
  document.addEventListener('keydown', onKey);
  document.addEventListener('paste', onPaste);
  document.addEventListener('dragover', onDrag);
  document.addEventListener('drop', onDrop);
  return () => {
    document.removeEventListener('keydown', onKey);
    document.removeEventListener('paste', onPaste);
    document.removeEventListener('dragover', onDrag);
    document.removeEventListener('drop', onDrop);
  };
}
