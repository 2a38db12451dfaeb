// Makes the forms faster; without it the preview needs its button.
"use strict";

const zone = document.querySelector("select[data-guess]");
if (zone) {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if ([...zone.options].some((one) => one.value === here)) zone.value = here;
}

// Updates the preview after a pause in typing: loads the same page and takes only the preview.
const form = document.querySelector("form[data-preview]");
if (form) {
  let timer, pending, last;
  const fields = () => {
    const fields = new URLSearchParams(new FormData(form));
    // The preview does not depend on the e-mail address, so it is not sent yet.
    fields.delete("email");
    return fields;
  };
  last = fields().toString();
  const show = async () => {
    const current = fields();
    if (current.toString() === last) return;
    last = current.toString();
    if (pending) pending.abort();
    pending = new AbortController();
    const old = document.getElementById("preview");
    old.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body: current, signal: pending.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const preview = page.getElementById("preview");
      if (preview) old.replaceWith(document.adoptNode(preview));
      else old.removeAttribute("aria-busy");
    } catch (error) {
      if (error.name !== "AbortError") {
        old.removeAttribute("aria-busy");
        last = undefined;
      }
    }
  };
  form.addEventListener("input", (event) => {
    if (event.target.name === "email") return;
    clearTimeout(timer);
    timer = setTimeout(show, 700);
  });
  if (zone && zone.value !== "UTC") timer = setTimeout(show, 700);
}
