// Sends the file that the reader chose, and shows what the answer says.
"use strict";

const words = JSON.parse(document.body.dataset.words);
const language = document.documentElement.lang === "zh" ? "zh-CN" : "en";
const chooser = document.getElementById("chooser");
const input = document.getElementById("file");
const result = document.getElementById("result");
const MONEY = /Amount$/;

input.addEventListener("change", () => check(input.files[0]));
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    chooser.classList.add("over");
  });
}
document.addEventListener("dragleave", () => chooser.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  chooser.classList.remove("over");
  check(event.dataTransfer.files[0]);
});

async function check(file) {
  if (!file) return;
  show("wait", words.checking);
  try {
    const text = await file.text();
    const answer = await fetch("verifications", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: text,
    });
    const found = await answer.json();
    if (answer.ok) showValid(found, JSON.parse(text));
    else if (answer.status === 413) show("bad", words.invalid, words.too_large);
    else if (found.step) {
      show("bad", words.invalid, words.steps[found.step]);
      // Where the register is concerned, the detail is for engineers only.
      addDetails(found.step === "anchor" ? found.title : found.detail);
    } else show("wait", words.unknown, words.try_later);
  } catch {
    show("wait", words.unknown, words.try_later);
  }
  input.value = "";
  chooser.classList.add("small");
  chooser.querySelector(".button").textContent = words.another;
  document.getElementById("intro").hidden = true;
  chooser.before(result);
}

function show(kind, title, explanation) {
  result.hidden = false;
  result.className = kind;
  result.replaceChildren(element("h2", title));
  if (explanation) result.append(element("p", explanation));
}

function showValid(answer, evidence) {
  const opened = evidence.fields;
  show("good", words.valid, sentence(answer.kind, opened));
  const currency = opened.CurrencyType ? opened.CurrencyType.value : undefined;
  const list = element("dl");
  for (const [name, label] of Object.entries(words.fields)) {
    if (!(name in opened)) continue;
    const value = opened[name].value;
    // Zero on a bill says that somebody did not pay; its total says so already.
    if (MONEY.test(name) && value === 0 && name !== "TotalAmount") continue;
    list.append(row(label, shown(name, value, currency)));
  }
  list.append(row(words.number, answer.number));
  list.append(row(words.issued_at, moment(answer.issuedAt)));
  result.append(list);
  const sealed = evidence.names.length - Object.keys(opened).length;
  if (sealed > 0) {
    const text = sealed === 1 ? words.sealed_one : words.sealed;
    result.append(element("p", text.replace("{count}", sealed), "sealed"));
  }
}

function sentence(kind, opened) {
  // Only a name that is opened has been compared with the issuer's.
  if ("InvoicingParty" in opened) return words.valid_named;
  return words[`valid_${kind.toLowerCase()}`];
}

function shown(name, value, currency) {
  if (MONEY.test(name)) return money(value, currency);
  if (name === "valiEndTime") return moment(value);
  if (/Date$/.test(name)) return String(value).replace(/^(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3");
  if (Array.isArray(value)) {
    const list = element("ul");
    for (const line of value) list.append(element("li", lineText(line, currency)));
    return list;
  }
  return value !== null && typeof value === "object" ? value.name : String(value);
}

function lineText(line, currency) {
  if ("amount" in line) return `${line.name} ${money(line.amount, currency)}`;
  return `${line.name} × ${line.quantity} ${line.unit}`;
}

function money(minor, currency) {
  // The currency may be sealed: then the amount is shown in minor units, not guessed.
  if (!currency) return String(minor);
  const format = new Intl.NumberFormat(language, { style: "currency", currency });
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

function moment(seconds) {
  const style = { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(language, style).format(new Date(seconds * 1000));
}

function row(label, content) {
  const line = element("div");
  const value = element("dd");
  value.append(content);
  line.append(element("dt", label), value);
  return line;
}

function addDetails(text) {
  const details = element("details");
  details.append(element("summary", words.details), element("p", text));
  result.append(details);
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}
