"use strict";
/* The explorer of report.html. Data lie beside this script as gzip in base64: an index (names and columns of numbers) that is read
   at once, and pages of texts that are read when a row of theirs is opened or searched. No text of a model or a data set is ever taken
   for markup: everything is shown through textContent, and the page's content security policy runs no other script than this. */
(() => {
  const LEFT_OUT = -2;
  const N_CACHED = 24; // pages kept in memory
  const KINDS = { u1: Uint8Array, u2: Uint16Array, i2: Int16Array, i4: Int32Array, f4: Float32Array };
  // As `controls.CONTROLS`: controls, bidirectional marks and, in Unicode mode, lone surrogates only.
  const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/gu;
  const STATUS_WORDS = {
    unparsed: "no answer could be read", truncated: "cut off at the token limit, no answer read",
    too_long: "the prompt does not fit this model's context", refused: "the perturbation does not apply to this sample",
    failed: "failed, through no fault of the model", absent: "was not asked",
  };
  const STATUS_OPTIONS = {
    scored: "both read", unparsed: "not readable", truncated: "cut off", too_long: "prompt too long", refused: "perturbation does not apply",
    failed: "failed", absent: "asked of one model only",
  };

  const app = document.getElementById("explorer-app");
  const part = (name) => document.getElementById("explorer-" + name);
  const list = part("list"), one = part("one"), searchBox = part("search"), told = part("told");
  const number = (n) => n.toLocaleString("en-GB");
  const plural = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;

  let index = null; // names and columns
  let shown = new Uint32Array(0); // rows that pass the filters, in reading order
  let at = -1; // place in `shown` of the open row
  let chosen = new Set(); // numbers of the outcomes that are switched on
  let hits = null; // what a search found: {names, questions, answers} of bytes; null: no search
  let searchNumber = 0; // the search that is running; an older one stops when it sees a newer
  let openNumber = 0;

  // ------------------------------------------------------------------------------------------------------------ reading

  function bytesOf(id) {
    const text = atob(document.getElementById(id).textContent);
    const bytes = new Uint8Array(text.length);
    for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
    return bytes;
  }

  async function unpacked(id) {
    const stream = new Blob([bytesOf(id)]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  async function readIndex() {
    const buffer = await unpacked("explorer-index");
    const nHeader = Number(new DataView(buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, nHeader)));
    const columns = {};
    for (const [name, [kind, offset, length]] of Object.entries(header.columns)) {
      columns[name] = new KINDS[kind](buffer, 8 + nHeader + offset, length);
    }
    for (const name of ["question", "a", "b"]) {
      const column = columns[name];
      for (let k = 1; k < column.length; k++) column[k] += column[k - 1];
    }
    header.firstAnswers = header.pages.map((first) => lowerBound(columns.of, first));
    return Object.assign(header, columns, { n: columns.outcome.length });
  }

  function lowerBound(column, value) {
    let low = 0, high = column.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (column[middle] < value) low = middle + 1; else high = middle;
    }
    return low;
  }

  const cache = new Map();

  function page(k) {
    const known = cache.get(k);
    if (known) {
      cache.delete(k);
      cache.set(k, known);
      return known;
    }
    const reading = unpacked("explorer-page-" + k).then((buffer) => JSON.parse(new TextDecoder().decode(buffer)));
    cache.set(k, reading);
    if (cache.size > N_CACHED) cache.delete(cache.keys().next().value);
    return reading;
  }

  const pageOf = (question) => lowerBound(index.pages, question + 1) - 1;

  /* What one row shows. */
  async function contentOf(row) {
    const question = index.question[row], k = pageOf(question);
    if (k < 0) return { question: [], a: null, b: null, texts: [] };
    const own = await page(k);
    const answer = (n) => (n < 0 ? null : own.answers[n - index.firstAnswers[k]]);
    return { texts: own.texts, question: own.questions[question - index.pages[k]], a: answer(index.a[row]), b: answer(index.b[row]) };
  }

  // -------------------------------------------------------------------------------------------------------- small parts

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined) made.append(child);
    return made;
  }

  /* A text as text nodes: characters that act instead of being seen are named, what was searched for is marked. */
  function textInto(node, text, mark) {
    let last = 0;
    for (const found of text.matchAll(CONTROLS)) {
      markedInto(node, text.slice(last, found.index), mark);
      const code = found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
      node.append(element("span", { class: "control" }, "U+" + code));
      last = found.index + found[0].length;
    }
    markedInto(node, text.slice(last), mark);
    return node;
  }

  function markedInto(node, text, mark) {
    const low = mark ? text.toLowerCase() : "";
    if (!mark || low.length !== text.length) {
      if (text) node.append(text);
      return;
    }
    let last = 0;
    for (let k = low.indexOf(mark); k >= 0; k = low.indexOf(mark, last)) {
      if (k > last) node.append(text.slice(last, k));
      node.append(element("mark", {}, text.slice(k, k + mark.length)));
      last = k + mark.length;
    }
    if (last < text.length) node.append(text.slice(last));
  }

  const words = (tag, attributes, text, mark) => textInto(element(tag, attributes), text, mark);
  const query = () => searchBox.value.trim().toLowerCase();
  const markFor = () => (query().length > 1 ? query() : "");

  // What a side did in a row: "right", "wrong", "none" (no value), or "value".
  function markOf(row, side) {
    const answer = index[side][row];
    if (answer < 0 || index.statuses[index.status[answer]] !== "scored") return "none";
    const rightValue = index.tasks[index.task[row]][2];
    if (rightValue === null) return "value";
    return index.value[answer] === rightValue ? "right" : "wrong";
  }

  const statusOf = (row, side) => (index[side][row] < 0 ? "absent" : index.statuses[index.status[index[side][row]]]);
  const modelOf = (row, side) => index.pairs[index.pair[row]][side === "a" ? 0 : 1];
  const colorOf = (name) => `var(--model-${index.places[index.models.indexOf(name)] % 6})`;
  const shownValue = (value) => String(Number(value.toPrecision(4)));

  function markWords(row, side) {
    const kind = markOf(row, side);
    if (kind === "none") return STATUS_WORDS[statusOf(row, side)];
    return kind === "value" ? `scores ${shownValue(index.value[index[side][row]])}` : kind;
  }

  function badge(row, side) {
    const kind = markOf(row, side);
    const sign = { right: "\u2713", wrong: "\u2717", none: "\u2013" }[kind] || shownValue(index.value[index[side][row]]);
    const made = element("span", { class: `badge ${kind}`, "aria-hidden": "true" }, sign);
    made.style.setProperty("--of", colorOf(modelOf(row, side)));
    return made;
  }

  function modelName(name) {
    const dot = element("span", { class: "dot", "aria-hidden": "true" });
    dot.style.background = colorOf(name);
    return element("span", { class: "model" }, dot, words("span", {}, name));
  }

  // ----------------------------------------------------------------------------------------------------------- filtering

  const SELECTS = ["pair", "task", "strategy", "perturbation", "language", "status"];
  const chosenOf = (name) => part(name).value;

  function outcomeLabel(k) {
    const pair = chosenOf("pair") === "" ? ["the first model", "the second model"] : index.pairs[Number(chosenOf("pair"))];
    const better = index.tasks.every((task) => task[2] !== null) ? (name) => `Only ${name} right` : (name) => `${name} better`;
    return [better(pair[0]), better(pair[1]), "Both right", "Both wrong", "Equal", "Not counted"][k];
  }

  function passes() {
    const fixed = {};
    for (const name of ["pair", "task", "strategy", "perturbation"]) fixed[name] = chosenOf(name) === "" ? -1 : Number(chosenOf(name));
    const language = chosenOf("language"), status = chosenOf("status") === "" ? -1 : Number(chosenOf("status"));
    const { pair, task, strategy, perturbation, question, a, b } = index;
    const absent = index.statuses.indexOf("absent"), statusAt = (k) => (k < 0 ? absent : index.status[k]);
    return (row) => {
      if (fixed.pair >= 0 && pair[row] !== fixed.pair) return false;
      if (fixed.task >= 0 && task[row] !== fixed.task) return false;
      if (fixed.strategy >= 0 && strategy[row] !== fixed.strategy) return false;
      if (fixed.perturbation >= 0 && perturbation[row] !== fixed.perturbation) return false;
      if (language && index.languages[question[row]] !== language) return false;
      if (status >= 0) {
        const ofA = statusAt(a[row]), ofB = statusAt(b[row]);
        if (status === 0 ? ofA || ofB : ofA !== status && ofB !== status) return false;
      }
      if (!hits) return true;
      return Boolean(hits.questions[question[row]] || (a[row] >= 0 && hits.answers[a[row]]) || (b[row] >= 0 && hits.answers[b[row]]));
    };
  }

  /* Filter again; the open row stays open where it still passes. */
  function refilter(keepScroll) {
    const open = at >= 0 ? shown[at] : -1;
    const pass = passes(), counts = new Array(index.outcomes.length).fill(0);
    const kept = new Uint32Array(index.n);
    let n = 0;
    for (let row = 0; row < index.n; row++) {
      if (!pass(row)) continue;
      counts[index.outcome[row]] += 1;
      if (chosen.has(index.outcome[row])) kept[n++] = row;
    }
    shown = kept.slice(0, n);
    at = open >= 0 ? lowerBound(shown, open) : -1;
    if (shown[at] !== open) at = -1;
    tellOutcomes(counts);
    part("count").textContent = `${plural(n, "row")} of ${number(index.n)}`;
    if (!keepScroll) list.scrollTop = at >= 0 ? Math.max(0, at * rowHeight() - list.clientHeight / 2) : 0;
    draw();
    if (at < 0 && !keepScroll) select(n ? 0 : -1, false);
  }

  function tellOutcomes(counts) {
    const total = new Array(index.outcomes.length).fill(0);
    for (const k of index.outcome) total[k] += 1;
    const buttons = part("outcomes");
    const focused = buttons.contains(document.activeElement) ? document.activeElement.dataset.outcome : null;
    buttons.replaceChildren();
    let key = 0;
    index.outcomes.forEach((name, k) => {
      if (!total[k]) return;
      key += 1;
      const made = element("button", {
        type: "button", "aria-pressed": String(chosen.has(k)), "data-outcome": name, "data-key": key, title: `Key ${key}`, class: "outcome",
      }, words("span", {}, outcomeLabel(k)), " ", element("span", { class: "n" }, number(counts[k])));
      made.addEventListener("click", () => toggle(k));
      buttons.append(made);
    });
    if (focused) buttons.querySelector(`[data-outcome="${focused}"]`)?.focus();
  }

  function toggle(k) {
    if (chosen.has(k)) chosen.delete(k); else chosen.add(k);
    refilter();
  }

  function option(value, text) {
    return textInto(element("option", { value }), text);
  }

  function fillSelects() {
    const present = (column) => new Set(column);
    const fill = (name, all, entries) => {
      const box = part(name);
      box.append(option("", all), ...entries.map(([value, text]) => option(String(value), text)));
      box.closest("label").hidden = entries.length < 2;
      box.addEventListener("change", () => refilter());
    };
    const kept = (names, column) => names.map((name, k) => [k, name]).filter(([k]) => present(column).has(k));
    fill("pair", "All pairs", kept(index.pairs.map((pair) => `${pair[0]} \u2013 ${pair[1]}`), index.pair));
    fill("task", "All tasks", kept(index.tasks.map((task) => task[0]), index.task));
    fill("strategy", "All strategies", kept(index.strategies, index.strategy));
    fill("perturbation", "All perturbations", kept(index.perturbations, index.perturbation));
    fill("language", "All languages", [...new Set(index.languages)].sort().map((name) => [name, name]));
    const statuses = new Set(index.status);
    for (const side of ["a", "b"]) if (index[side].some((k) => k < 0)) statuses.add(index.statuses.indexOf("absent"));
    fill("status", "Any status", index.statuses.map((name, k) => [k, STATUS_OPTIONS[name]]).filter(([k]) => statuses.has(k)));
  }

  /* As on opening: rows of the first pair on which the models disagree, in the primary cell. */
  function toStart() {
    searchBox.value = "";
    stopSearch();
    for (const name of SELECTS) part(name).value = "";
    chosen = new Set([0, 1]);
    const set = (name, value) => { if ([...part(name).options].some((o) => o.value === value)) part(name).value = value; };
    set("pair", "0");
    set("strategy", "0");
    set("perturbation", "0");
    if (!index.outcome.some((k) => k < 2)) chosen = new Set(index.outcomes.keys());
    refilter();
  }

  // ------------------------------------------------------------------------------------------------------------ the list

  const rowHeight = () => 3.25 * parseFloat(getComputedStyle(document.documentElement).fontSize);
  const several = (name) => part(name).options.length > 2 && chosenOf(name) === "";

  function titleOf(row) {
    const question = index.question[row];
    return index.snippets[question] || (index.tasks[index.task[row]][3] ? `Sample ${index.names[question]}` : index.names[question]);
  }

  function conditionOf(row, all) {
    const parts = [];
    if (all || several("task")) parts.push(index.tasks[index.task[row]][0]);
    if (all ? index.strategies.length > 1 : several("strategy")) parts.push(index.strategies[index.strategy[row]]);
    if (all ? index.perturbations.length > 1 : several("perturbation")) parts.push(index.perturbations[index.perturbation[row]]);
    if (!all && several("pair")) parts.push(index.pairs[index.pair[row]].join(" \u2013 "));
    if (index.variants[index.question[row]]) parts.push(`rendition ${index.variants[index.question[row]] + 1}`);
    if (index.replicate[row]) parts.push(`replicate ${index.replicate[row] + 1}`);
    return parts;
  }

  function line(place) {
    const row = shown[place], task = index.tasks[index.task[row]];
    const parts = conditionOf(row, false);
    if (index.snippets[index.question[row]]) parts.push(index.names[index.question[row]]);
    if (task[3]) parts.push("restricted data");
    const sides = ["a", "b"].map((side) => `${modelOf(row, side)} ${markWords(row, side)}`).join(", ");
    const made = element("div", {
      id: "explorer-row-" + row, role: "option", class: "row", "aria-selected": String(place === at),
      "aria-setsize": shown.length, "aria-posinset": place + 1,
    });
    made.append(
      element("span", { class: "badges" }, badge(row, "a"), badge(row, "b")),
      element("span", { class: "hidden" }, words("span", {}, sides + ". ")),
      words("span", { class: "stem" }, titleOf(row), markFor()),
      words("span", { class: "where" }, parts.join(" \u00b7 "), markFor()),
    );
    made.style.top = `${place * rowHeight()}px`;
    made.addEventListener("click", () => { select(place, true); list.focus({ preventScroll: true }); });
    return made;
  }

  function draw() {
    const height = rowHeight();
    const space = part("space");
    space.style.height = `${shown.length * height}px`;
    const first = Math.max(0, Math.floor(list.scrollTop / height) - 4);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / height) + 4);
    const lines = [];
    for (let place = first; place < last; place++) lines.push(line(place));
    space.replaceChildren(...lines);
    part("none").hidden = shown.length > 0;
    if (at >= first && at < last) list.setAttribute("aria-activedescendant", "explorer-row-" + shown[at]);
    else list.removeAttribute("aria-activedescendant");
  }

  let drawing = false;
  list.addEventListener("scroll", () => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => { drawing = false; draw(); });
  });

  function select(place, byReader) {
    at = place;
    if (place >= 0) {
      const height = rowHeight(), top = place * height;
      if (top < list.scrollTop) list.scrollTop = top;
      else if (top + height > list.scrollTop + list.clientHeight) list.scrollTop = top + height - list.clientHeight;
    }
    draw();
    open(byReader);
  }

  function step(by) {
    if (shown.length) select(Math.min(shown.length - 1, Math.max(0, (at < 0 ? (by > 0 ? -1 : 0) : at) + by)), true);
  }

  // ------------------------------------------------------------------------------------------------------------- one row

  async function open(byReader) {
    const mine = ++openNumber, place = at;
    part("previous").disabled = place <= 0;
    part("next").disabled = place < 0 || place >= shown.length - 1;
    part("place").textContent = place < 0 ? "" : `${number(place + 1)} of ${number(shown.length)}`;
    if (place < 0) {
      one.replaceChildren(element("p", { class: "small" }, shown.length ? "Choose a row." : "No row passes these filters."));
      return;
    }
    const row = shown[place], content = await contentOf(row);
    if (mine !== openNumber) return;
    one.replaceChildren(...rowParts(row, content));
    one.scrollTop = 0;
    for (const box of one.querySelectorAll("pre.prompt")) box.scrollTop = box.scrollHeight;
    if (byReader) {
      remember(row);
      // Where the list stands above the row, what was chosen must come into sight.
      if (matchMedia("(max-width: 56rem)").matches && one.getBoundingClientRect().top > 0.6 * innerHeight) part("head").scrollIntoView();
    }
  }

  function rowParts(row, content) {
    const question = index.question[row], task = index.tasks[index.task[row]];
    const facts = [...conditionOf(row, true), task[3] ? `sample ${index.names[question]}` : index.names[question]];
    if (index.groups[question] && index.groups[question] !== index.names[question]) facts.push(`group ${index.groups[question]}`);
    facts.push(index.languages[question]);
    const made = [words("h3", {}, sentence(row)), words("p", { class: "facts" }, facts.join(" \u00b7 "), markFor())];
    if (task[3]) {
      made.push(element("p", { class: "small" }, "This task is restricted: no text, no output and no id of its samples is part of this file."));
      return [...made, sides(row, content)];
    }
    return [...made, ...questionParts(row, content), sides(row, content), ...promptParts(row, content)];
  }

  function sentence(row) {
    const [a, b] = ["a", "b"].map((side) => modelOf(row, side));
    const [onA, onB] = ["a", "b"].map((side) => markOf(row, side));
    const name = index.outcomes[index.outcome[row]];
    if (onA === onB && onA === "right") return "Both are right";
    if (onA === onB && onA === "wrong") return "Both are wrong";
    if (onA === "right" && onB === "wrong") return `Only ${a} is right`;
    if (onA === "wrong" && onB === "right") return `Only ${b} is right`;
    if (name === "a_better" || name === "b_better") return `${name === "a_better" ? a : b} is better`;
    return name === "not_counted" ? "Not counted in the comparison" : "Both count the same";
  }

  const labelled = (texts, labels, k) => (labels[k] === undefined ? "" : texts[labels[k]] + ". ");

  function questionParts(row, content) {
    const [labels, choices, targets, reference, stem] = content.question;
    if (labels === undefined) return [];
    const made = [];
    if (stem >= 0) made.push(words("p", { class: "question" }, content.texts[stem], markFor()));
    if (choices.length) made.push(choiceTable(row, content, labels, choices, targets));
    if (reference >= 0) {
      made.push(element("p", { class: "title" }, "Right answer"), words("pre", { class: "output" }, content.texts[reference], markFor()));
    }
    return made;
  }

  function choiceTable(row, content, labels, choices, targets) {
    const withShares = ["a", "b"].some((side) => content[side] && content[side][3]);
    const heads = ["a", "b"].map((side) => element("th", { scope: "col", class: "share" }, modelName(modelOf(row, side))));
    const lines = choices.map((choice, k) => {
      const right = targets.includes(k);
      const text = words("span", {}, labelled(content.texts, labels, k) + content.texts[choice], markFor());
      const head = element("th", { scope: "row" }, text, right ? " " : null, right ? element("span", { class: "right-one" }, "\u2713\u00a0right") : null);
      return element("tr", { class: right ? "is-right" : null }, head, ...["a", "b"].map((side) => shareCell(row, content, side, k)));
    });
    const withVotes = ["a", "b"].some((side) => content[side] && content[side][7]);
    const shown = withShares ? (withVotes ? "the probability that each model gave them, and its votes" : "the probability that each model gave them")
      : withVotes ? "the votes of each model's requests" : "what each model answered";
    const caption = `Choices, and ${shown}`;
    return element("div", { class: "table" }, element("table", { class: "choices" }, element("caption", {}, caption),
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Choice"), ...heads)), element("tbody", {}, ...lines)));
  }

  function shareCell(row, content, side, k) {
    const answer = content[side], number = index[side][row];
    const isAnswer = number >= 0 && index.position[number] === k;
    const made = element("td", { class: "share" + (isAnswer ? " answered" : "") });
    const share = answer && answer[3] ? answer[3][k] : null;
    if (share !== null && share !== undefined) {
      const bar = element("span", { class: "bar", "aria-hidden": "true" });
      bar.style.width = `${share / 100}%`;
      bar.style.background = colorOf(modelOf(row, side));
      made.append(element("span", {}, `${(share / 100).toFixed(1)}%`), element("span", { class: "track" }, bar));
    }
    // Members, members without a vote, votes for each choice as shown.
    const votes = answer && answer[7] ? answer[7][2 + k] : 0;
    if (votes) made.append(element("span", { class: "votes" }, `${votes} of ${plural(answer[7][0], "vote")}`));
    const alone = (share === null || share === undefined) && !votes;
    if (isAnswer) made.prepend(element("span", { class: "answer-sign" }, alone ? "\u25b8 its answer" : "\u25b8 "));
    return made;
  }

  function sides(row, content) {
    return element("div", { class: "sides" }, ...["a", "b"].map((side) => sidePart(row, content, side)));
  }

  function sidePart(row, content, side) {
    const status = statusOf(row, side), answer = content[side], number = index[side][row];
    const made = element("div", { class: "side" }, element("h4", {}, modelName(modelOf(row, side))));
    made.style.setProperty("--of", colorOf(modelOf(row, side)));
    const verdict = element("p", { class: "verdict" }, badge(row, side), " ", element("strong", {}, markWords(row, side)));
    made.append(verdict);
    if (["unparsed", "truncated", "too_long"].includes(status)) {
      verdict.append(index.missing === "incorrect" ? "; counts as the worst value" : "; leaves the comparison");
    }
    if (index.tasks[index.task[row]][3] || !answer) return made;
    if (answer[2] >= 0) {
      const place = index.position[number], label = content.question[0] && place >= 0 ? labelled(content.texts, content.question[0], place) : "";
      textInto(verdict, ": " + label + content.texts[answer[2]], markFor());
    }
    if (answer[1] >= 0) made.append(words("pre", { class: "output", tabindex: "0", "aria-label": "Output" }, content.texts[answer[1]], markFor()));
    else if (answer[1] === LEFT_OUT) made.append(element("p", { class: "small" }, "The output is left out to keep this file small; it stands in scores.parquet."));
    const notes = answer[1] === -1 && answer[3] ? ["no text was generated, the likeliest choice is the answer"] : [];
    if (answer[4] === "length") notes.push("stopped at the token limit");
    if (answer[7]) notes.push(...voteNotes(answer, content));
    else if (answer[5] > 1) notes.push(`${answer[5]} requests; the output is that of the one that decided`);
    if (answer[6] !== null && answer[6] !== undefined) notes.push(`${(answer[6] / 100).toFixed(1)}% of the next-token probability lies on the labels`);
    if (notes.length) made.append(element("p", { class: "small" }, notes.join("; ").replace(/^./, (first) => first.toUpperCase()) + "."));
    return made;
  }

  /* How an ensemble came to its answer. Its choices may have stood in another order than in the prompt that is shown. */
  function voteNotes(answer, content) {
    const [members, missing, same] = answer[7], hasChoices = content.question[1] && content.question[1].length > 0;
    const made = [plural(answer[5], "request")];
    if (!hasChoices && same) made.push(`${same} of ${plural(members, "vote")} agree`);
    if (missing) made.push(`${missing} could not be read and voted for nothing`);
    if (answer[1] !== -1) {
      const whose = missing === members ? "of one of them" : "of the first that voted for the answer";
      made.push(`the output is that ${whose}${hasChoices ? ", asked with the choices in an order of its own" : ""}`);
    }
    return made;
  }

  function promptParts(row, content) {
    const [a, b] = ["a", "b"].map((side) => (content[side] ? content[side][0] : -1));
    const made = [], first = ["a", "b"].some((side) => content[side] && content[side][7]) ? " of the first request" : "";
    if (a === LEFT_OUT || b === LEFT_OUT) {
      made.push(element("p", { class: "small" }, "A prompt of this row is left out to keep this file small; plan.parquet holds it."));
    }
    if (a >= 0 && a === b) {
      made.push(element("h4", {}, `Prompt${first}, the same for both`), words("pre", promptBox("Prompt"), content.texts[a], markFor()));
    } else if (a >= 0 || b >= 0) {
      const texts = [a, b].map((k) => (k >= 0 ? content.texts[k] : null));
      const differs = texts[0] !== null && texts[1] !== null ? differentLines(texts[0], texts[1]) : [new Set(), new Set()];
      const title = differs[0].size + differs[1].size ? `Prompts${first}; lines that differ are marked` : `Prompt${first}`;
      made.push(element("h4", {}, title), element("div", { class: "sides" }, ...["a", "b"].map((side, k) => {
        const box = element("pre", promptBox(`Prompt of ${modelOf(row, side)}`));
        if (texts[k] === null) return element("div", { class: "side" }, modelName(modelOf(row, side)), element("p", { class: "small" }, "None."));
        texts[k].split("\n").forEach((text, n, all) => {
          box.append(words("span", { class: differs[k].has(n) ? "differs" : null }, text, markFor()), n < all.length - 1 ? "\n" : "");
        });
        return element("div", { class: "side" }, element("p", { class: "read" }, modelName(modelOf(row, side))), box);
      })));
    }
    return made;
  }

  const promptBox = (name) => ({ class: "prompt", tabindex: "0", role: "region", "aria-label": name });

  /* Numbers of the lines that are not in the longest common subsequence; of very long prompts, of what lies between common ends. */
  function differentLines(first, second) {
    const a = first.split("\n"), b = second.split("\n");
    let head = 0, tail = 0;
    while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
    while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
    const n = a.length - head - tail, m = b.length - head - tail;
    const inA = new Set(Array.from({ length: n }, (_, k) => head + k)), inB = new Set(Array.from({ length: m }, (_, k) => head + k));
    if (n * m > 1e6) return [inA, inB];
    const longest = Array.from({ length: n + 1 }, () => new Uint32Array(m + 1));
    for (let i = n - 1; i >= 0; i--) {
      for (let j = m - 1; j >= 0; j--) {
        longest[i][j] = a[head + i] === b[head + j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
      }
    }
    for (let i = 0, j = 0; i < n && j < m;) {
      if (a[head + i] === b[head + j]) {
        inA.delete(head + i++);
        inB.delete(head + j++);
      } else if (longest[i + 1][j] >= longest[i][j + 1]) i += 1;
      else j += 1;
    }
    return [inA, inB];
  }

  // -------------------------------------------------------------------------------------------------------------- search

  function stopSearch() {
    searchNumber += 1;
    hits = null;
    told.textContent = "";
    part("stop").hidden = true;
  }

  /* Names and first words at once; then the texts, page by page, until they are through or the words change. */
  async function search() {
    stopSearch();
    const mine = searchNumber, wanted = markFor();
    if (!wanted) {
      refilter();
      return;
    }
    const has = (text) => text.toLowerCase().includes(wanted);
    hits = { questions: new Uint8Array(index.names.length), answers: new Uint8Array(index.of.length) };
    for (let k = 0; k < index.names.length; k++) {
      if (has(index.names[k]) || has(index.groups[k]) || has(index.snippets[k])) hits.questions[k] = 1;
    }
    refilter();
    part("stop").hidden = false;
    let drawn = performance.now();
    for (let k = 0; k < index.pages.length; k++) {
      told.textContent = `Searching the texts: part ${k + 1} of ${index.pages.length}`;
      const own = cache.has(k) ? await cache.get(k) : JSON.parse(new TextDecoder().decode(await unpacked("explorer-page-" + k)));
      if (mine !== searchNumber) return;
      searchPage(own, k, has);
      if (performance.now() - drawn > 150) {
        refilter(true);
        await new Promise((done) => setTimeout(done));
        drawn = performance.now();
        if (mine !== searchNumber) return;
      }
    }
    part("stop").hidden = true;
    told.textContent = "Ids, questions, prompts and outputs were searched.";
    refilter(true);
    if (at < 0) select(shown.length ? 0 : -1, false);
    else open(false);
  }

  function searchPage(own, k, has) {
    const found = own.texts.map(has), hit = (n) => n >= 0 && found[n];
    if (!found.includes(true)) return;
    own.questions.forEach((question, n) => {
      if (question.length && (question[1].some(hit) || hit(question[3]) || hit(question[4]))) hits.questions[index.pages[k] + n] = 1;
    });
    own.answers.forEach((answer, n) => {
      if (hit(answer[0]) || hit(answer[1]) || hit(answer[2])) hits.answers[index.firstAnswers[k] + n] = 1;
    });
  }

  // ------------------------------------------------------------------------------------------------------ links and keys

  const LINK = "#explorer:";

  function remember(row) {
    const [a, b] = index.pairs[index.pair[row]], question = index.question[row];
    const link = new URLSearchParams({ a, b, task: index.tasks[index.task[row]][0], strategy: index.strategies[index.strategy[row]],
      perturbation: index.perturbations[index.perturbation[row]], sample: index.names[question] });
    if (index.variants[question]) link.set("variant", index.variants[question]);
    if (index.replicate[row]) link.set("replicate", index.replicate[row]);
    try {
      history.replaceState(null, "", LINK + link);
    } catch { /* a page that may not change its own address works without */ }
  }

  /* Open the row that the address names. Parts that it leaves out are free; the first row that has the rest is taken. */
  function follow() {
    if (!location.hash.startsWith(LINK)) return false;
    const link = new URLSearchParams(location.hash.slice(LINK.length));
    const fits = (name, value) => !link.has(name) || link.get(name) === value;
    for (let row = 0; row < index.n; row++) {
      const [a, b] = index.pairs[index.pair[row]], question = index.question[row];
      if (fits("a", a) && fits("b", b) && fits("task", index.tasks[index.task[row]][0]) && fits("sample", index.names[question])
        && fits("strategy", index.strategies[index.strategy[row]]) && fits("perturbation", index.perturbations[index.perturbation[row]])
        && fits("variant", String(index.variants[question])) && fits("replicate", String(index.replicate[row]))) {
        reveal(row);
        return true;
      }
    }
    told.textContent = "The row that the address names is not in this report.";
    return false;
  }

  /* Open a row whatever the filters hide. */
  function reveal(row) {
    searchBox.value = "";
    stopSearch();
    for (const name of SELECTS) part(name).value = "";
    part("pair").value = String(index.pair[row]);
    part("strategy").value = String(index.strategy[row]);
    part("perturbation").value = String(index.perturbation[row]);
    if (!chosen.has(index.outcome[row])) chosen = new Set(index.outcomes.keys());
    at = -1;
    refilter();
    select(lowerBound(shown, row), false);
    part("panes").scrollIntoView({ block: "nearest" });
  }

  /* Keys without a place of their own belong to the explorer only while a good part of it is seen. */
  function onScreen() {
    const place = part("panes").getBoundingClientRect();
    return place.top < 0.8 * innerHeight && place.bottom > 0.2 * innerHeight;
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target, typing = target.matches?.("input, select, textarea");
    if (event.key === "Escape" && target === searchBox) {
      if (searchBox.value) { searchBox.value = ""; search(); } else list.focus();
      event.preventDefault();
      return;
    }
    if (target === searchBox && event.key === "Enter") { list.focus(); event.preventDefault(); return; }
    if (typing || !(onScreen() || app.contains(target))) return;
    const inBox = target.matches?.("pre"), inList = target === list;
    const page = Math.max(1, Math.floor(list.clientHeight / rowHeight()) - 1);
    const moves = { j: 1, k: -1 };
    if (inList) Object.assign(moves, { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -index.n, End: index.n });
    if (!inBox && event.key in moves) step(moves[event.key]);
    else if (event.key === "/") searchBox.focus();
    else if (/^[1-9]$/.test(event.key)) {
      const button = part("outcomes").querySelector(`[data-key="${event.key}"]`);
      if (!button) return;
      button.click();
    } else return;
    event.preventDefault();
  }

  // --------------------------------------------------------------------------------------------------------------- start

  async function start() {
    index = await readIndex();
    fillSelects();
    app.hidden = false;
    part("reading").hidden = true;
    part("kept").textContent = keptWords();
    part("previous").addEventListener("click", () => step(-1));
    part("next").addEventListener("click", () => step(1));
    part("reset").addEventListener("click", toStart);
    part("stop").addEventListener("click", () => {
      searchNumber += 1;
      part("stop").hidden = true;
      told.textContent = "Stopped: not all texts were searched.";
    });
    let typing = 0;
    searchBox.addEventListener("input", () => {
      clearTimeout(typing);
      told.textContent = "";
      typing = setTimeout(search, 200);
    });
    document.addEventListener("keydown", onKey);
    addEventListener("hashchange", follow);
    addEventListener("resize", draw);
    toStart();
    follow();
  }

  function keptWords() {
    const parts = [];
    if (index.n_rows_left_out) parts.push(`${plural(index.n_rows_left_out, "further row")} did not fit into this file`);
    if (index.n_rows_without.prompts) parts.push(`${plural(index.n_rows_without.prompts, "row")} lack a prompt`);
    if (index.n_rows_without.outputs) parts.push(`${plural(index.n_rows_without.outputs, "row")} lack an output`);
    return parts.length ? `To keep this file small, ${parts.join(", ")}; plan.parquet and scores.parquet hold everything.` : "";
  }

  if (typeof DecompressionStream === "undefined") {
    part("reading").textContent = "This browser is too old for the explorer (it lacks DecompressionStream); everything else on this page works.";
    return;
  }
  start().catch((error) => {
    app.hidden = true;
    part("reading").hidden = false;
    part("reading").textContent = `The explorer could not be opened: ${error.message}`;
  });
})();
