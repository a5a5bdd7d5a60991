// <code-list>: one coded list of wrap-up: a field to search in above a list, the most likely codes first.

function option({ code, label }) {
  const made = document.createElement("option");
  made.value = code;
  made.textContent = label;
  return made;
}

function group(label, codes) {
  const made = document.createElement("optgroup");
  made.label = label;
  made.append(...codes.map(option));
  return made;
}

class CodeList extends HTMLElement {
  codes = [];

  connectedCallback() {
    this.search = this.querySelector("input");
    this.list = this.querySelector("select");
    this.search.addEventListener("input", () => this.draw());
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") event.preventDefault(), this.list.focus();
      if (event.key === "Enter" && this.list.options.length) {
        event.preventDefault();
        this.list.selectedIndex = 0;
        this.list.focus();
      }
    });
  }

  /** Codes in their order; `chosen` stands marked, `required`: one must be. */
  show(codes, { chosen = "", required = true } = {}) {
    this.codes = codes;
    this.list.required = required;
    this.search.value = "";
    this.draw();
    this.list.value = codes.some((one) => one.code === chosen) ? chosen : "";
  }

  draw() {
    const words = this.search.value.trim().toLowerCase();
    const had = this.list.value;
    const found = this.codes.filter((one) => `${one.label} ${one.code}`.toLowerCase().includes(words));
    const likely = found.filter((one) => one.likely);
    const others = found.filter((one) => !one.likely);
    this.list.replaceChildren(...(likely.length ? [group("Most likely", likely)] : []), ...(others.length ? [group(likely.length ? "All others" : "All", others)] : []));
    this.list.value = found.some((one) => one.code === had) ? had : "";
  }
}

customElements.define("code-list", CodeList);
