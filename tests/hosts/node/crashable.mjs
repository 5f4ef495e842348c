// Crashes the Worker's code where a scenario requests it, as a panic or a trap does: the run ends in the middle of
// WebAssembly, Rust unwinds nothing, and the instance is unusable. The code itself is as packed.
const TRIGGER = "crash-the-worker";

const { Instance } = WebAssembly;
WebAssembly.Instance = class extends Instance {
  constructor(module, imports) {
    super(module, Object.fromEntries(Object.entries(imports).map(([from, all]) => [from, crashable(all)])));
  }
};

function crashable(imports) {
  const wrapped = { ...imports };
  // Every string that Rust receives from JavaScript passes through here.
  replace(wrapped, "__wbindgen_string_get", (original) => (place, value) => {
    if (typeof value === "string" && value.includes(TRIGGER)) trap();
    return original(place, value);
  });
  // Every response to a fetch passes through here.
  replace(wrapped, "__wbg_status_", (original) => (response) => {
    if (response.headers.has(TRIGGER)) trap();
    return original(response);
  });
  return wrapped;
}

function replace(imports, part, by) {
  const names = Object.keys(imports).filter((name) => name.includes(part));
  if (names.length !== 1) throw new Error(`one import should be ${part}, found ${names}`);
  imports[names[0]] = by(imports[names[0]]);
}

// Does what a panic does: its hook requests a new instance, and the run ends.
function trap() {
  console.error("Broken on purpose.");
  globalThis.__worker_init_state.criticalError = true;
  throw new WebAssembly.RuntimeError("unreachable");
}
