// page.js: what people do on the page: give a key and a pack, wait, read, switch the language.
"use strict";

const TEXT_MOST = 1 << 20;
const state = { pack: null, checkpoints: [], sheet: null, worker: null, result: null, shown: null };

function byId(id) {
  return document.getElementById(id);
}

// Every word that the page itself has, in its language.
function speak() {
  const { language } = speaking;
  document.documentElement.lang = language;
  document.documentElement.dir = language === "ar" ? "rtl" : "ltr";
  document.title = say("title");
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = say(one.dataset.word);
  byId("language").lang = language === "ar" ? "en" : "ar";
  byId("digits").textContent = speaking.arabicDigits ? WORDS.en.digits.replace(/^.*: /, "") : "١٢٣";
  byId("digits").setAttribute("aria-label", speaking.arabicDigits ? WORDS.en.digits : WORDS.ar.digits);
  tellChosen();
  if (state.result) showResult();
}

function tellChosen() {
  const list = byId("chosen");
  list.replaceChildren();
  if (state.pack) list.append(element("li", {}, foreign(state.pack.name)));
  for (const one of state.checkpoints) list.append(element("li", {}, `${say("checkpoint_files")}: `, foreign(one.name)));
  if (state.sheet) list.append(element("li", {}, `${say("sheet_file")}: `, foreign(state.sheet.name)));
  byId("check").textContent = say(state.result ? "check_again" : "check");
}

function showResult() {
  const shown = verdictShown(state.result, state.shown);
  byId("result").replaceChildren(shown);
  byId("print").hidden = false;
}

function tellProgress(doing, done, total) {
  byId("progress").hidden = false;
  byId("doing").textContent = say(`doing_${doing}`);
  byId("bar").max = Math.max(total, 1);
  byId("bar").value = done;
}

// Runs in a worker; where a browser lets a file have none, here.
function run(file, given, done) {
  state.worker?.terminate();
  state.worker = null;
  const here = () => verifyPack(fileSource(file), given, tellProgress).then(done);
  let address;
  try {
    const text = `${byId("verifying").textContent}\nserveAsWorker();`;
    address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const worker = new Worker(address);
    let answered = false;
    state.worker = worker;
    worker.onmessage = ({ data }) => {
      answered = true;
      if (state.worker !== worker) return;
      if (data.result) done(data.result);
      else tellProgress(data.doing, data.done, data.total);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (state.worker !== worker) return;
      if (answered) done({ outcome: "unreadable", where: "internal", code: "internal", detail: event.message ?? "" });
      else here();
    };
    worker.postMessage({ file, given });
  } catch {
    here();
  }
}

async function textIn(file) {
  return file.size > TEXT_MOST ? "" : file.text();
}

async function check() {
  if (!state.pack) {
    byId("doing").textContent = say("no_pack_yet");
    byId("progress").hidden = false;
    byId("bar").hidden = true;
    byId("choose").focus();
    return;
  }
  const key = trimmed(byId("key").value);
  const pasted = trimmed(byId("checkpoint").value);
  const checkpoints = pasted === "" ? [] : [pasted];
  for (const one of state.checkpoints) checkpoints.push(await textIn(one));
  const sheet = state.sheet ? new Uint8Array(await state.sheet.slice(0, TEXT_MOST).arrayBuffer()) : null;
  const file = state.pack;
  state.result = null;
  byId("result").replaceChildren();
  byId("bar").hidden = false;
  byId("check").disabled = true;
  tellProgress("reading", 0, file.size);
  run(file, { key: key === "" ? null : key, checkpoints, sheet }, (result) => {
    state.worker?.terminate();
    state.worker = null;
    state.result = result;
    state.shown = file;
    byId("progress").hidden = true;
    byId("check").disabled = false;
    tellChosen();
    showResult();
    byId("verdict").focus();
    byId("verdict").scrollIntoView({ block: "start" });
  });
}

function startOver() {
  state.worker?.terminate();
  Object.assign(state, { pack: null, checkpoints: [], sheet: null, worker: null, result: null, shown: null });
  byId("asking").reset();
  byId("result").replaceChildren();
  byId("progress").hidden = true;
  byId("print").hidden = true;
  byId("check").disabled = false;
  tellChosen();
  byId("key").focus();
}

// Files that were dropped, sorted by what they are: a pack begins with PK.
async function take(files) {
  for (const file of files) {
    const start = new Uint8Array(await file.slice(0, 2).arrayBuffer());
    if (start[0] === 0x50 && start[1] === 0x4b) state.pack = file;
    else if ((await file.slice(0, 21).text()) === "streamcount.sheet/v1\n") state.sheet = file;
    else if (/\.vkey$/i.test(file.name)) byId("key").value = (await textIn(file)).trim();
    else if (file.size < TEXT_MOST && (await textIn(file)).includes("\n\n\u2014 ")) state.checkpoints.push(file);
    else state.pack = file;
  }
  tellChosen();
  if (state.pack) await check();
}

function listen() {
  byId("language").addEventListener("click", () => {
    speaking.language = speaking.language === "ar" ? "en" : "ar";
    speaking.arabicDigits = speaking.language === "ar";
    speak();
  });
  byId("digits").addEventListener("click", () => {
    speaking.arabicDigits = !speaking.arabicDigits;
    speak();
  });
  byId("print").addEventListener("click", () => print());
  byId("check").addEventListener("click", check);
  byId("over").addEventListener("click", startOver);
  byId("choose").addEventListener("change", ({ target }) => {
    state.pack = target.files[0] ?? null;
    tellChosen();
    if (state.pack) check();
  });
  byId("checkpoints").addEventListener("change", ({ target }) => {
    state.checkpoints = Array.from(target.files);
    tellChosen();
  });
  byId("sheet").addEventListener("change", ({ target }) => {
    state.sheet = target.files[0] ?? null;
    tellChosen();
  });
  for (const kind of ["dragenter", "dragover"]) {
    addEventListener(kind, (event) => {
      event.preventDefault();
      byId("drop").classList.add("over");
    });
  }
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) byId("drop").classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    byId("drop").classList.remove("over");
    take(Array.from(event.dataTransfer.files));
  });
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details.sheet")) one.open = true;
  });
}

speaking.language = /^ar\b/i.test(navigator.language ?? "") ? "ar" : "en";
speaking.arabicDigits = speaking.language === "ar";
listen();
speak();
