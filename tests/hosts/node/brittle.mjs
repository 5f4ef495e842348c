// Breaks the Worker's code where a story says so, as a panic or a trap does: the run ends in the middle of
// WebAssembly, nothing of Rust is unwound, and the instance is of no more use. The code itself is as packed.
const TRIGGER = "break-the-worker";

const { Instance } = WebAssembly;
WebAssembly.Instance = class extends Instance {
  constructor(module, imports) {
    super(module, Object.fromEntries(Object.entries(imports).map(([from, all]) => [from, brittle(all)])));
  }
};

// Every string that Rust reads passes through one import.
function brittle(imports) {
  const wrapped = { ...imports };
  const names = Object.keys(imports).filter((name) => name.includes("__wbindgen_string_get"));
  if (names.length !== 1) throw new Error(`one import reads strings, found ${names}`);
  wrapped[names[0]] = (place, value) => {
    if (typeof value === "string" && value.includes(TRIGGER)) {
      throw new WebAssembly.RuntimeError("unreachable");
    }
    return imports[names[0]](place, value);
  };
  return wrapped;
}
