"use strict";

const make = (tag, text = "", attributes = {}) => {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

const KEY = "Idempotency-Key";
const newKey = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const field = (parameter) => {
  const label = make("label", `${parameter.name} `);
  const input = make("input", "", { "data-name": parameter.name, "data-in": parameter.in });
  if (parameter.name === KEY) input.value = newKey();
  label.append(input, make("br"), make("small", parameter.description ?? ""));
  return [label, input];
};

const send = async (method, path, inputs, body) => {
  const headers = {};
  const query = new URLSearchParams();
  for (const input of inputs) {
    const { name, in: place } = input.dataset;
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value === "") continue;
    else if (place === "query") query.set(name, input.value);
    else headers[name] = input.value;
  }
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const began = performance.now();
  const answer = await fetch(path + (query.size ? `?${query}` : ""), { method, headers, body });
  const text = await answer.text();
  const ms = (performance.now() - began).toFixed(1);
  let shown = text;
  try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
  return `${answer.status} ${answer.statusText} in ${ms} ms\n\n${shown}`;
};

const show = (path, method, operation) => {
  const box = make("details");
  const summary = make("summary");
  summary.append(make("span", method.toUpperCase(), { class: "method" }), make("code", path), ` ${operation.summary}`);
  box.append(summary);
  const inputs = [];
  for (const parameter of operation.parameters ?? []) {
    const [label, input] = field(parameter);
    box.append(label);
    inputs.push(input);
  }
  const example = operation.requestBody?.content["application/json"].example;
  const body = example === undefined ? null : make("textarea", JSON.stringify(example, null, 2), { spellcheck: "false" });
  if (body) box.append(make("label", "Body"), body);
  const button = make("button", "Send");
  const result = make("pre", Object.entries(operation.responses)
    .map(([status, answer]) => `${status} ${answer.description ?? "a problem document"}`).join("\n"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    try { result.textContent = await send(method.toUpperCase(), path, inputs, body?.value); }
    catch (error) { result.textContent = String(error); }
    for (const input of inputs) if (input.dataset.name === KEY && result.textContent.startsWith("2")) input.value = newKey();
    button.disabled = false;
  });
  box.append(button, result);
  return box;
};

const main = async () => {
  const described = await (await fetch("/api/v1/openapi.json")).json();
  document.getElementById("about").textContent = described.info.description;
  const operations = document.getElementById("operations");
  for (const [path, methods] of Object.entries(described.paths))
    for (const [method, operation] of Object.entries(methods)) operations.append(show(path, method, operation));
  const problems = document.getElementById("problems");
  for (const [kind, text] of Object.entries(described["x-problems"]))
    problems.append(make("dt", kind, { id: kind }), make("dd", text));
  const types = document.getElementById("types");
  for (const [name, schema] of Object.entries(described.components.schemas)) {
    const box = make("details");
    box.append(make("summary", name), make("pre", JSON.stringify(schema, null, 2)));
    types.append(box);
  }
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
};

main();
