/*! The npm package's module; streamcount.js beside it also works as a script. Apache-2.0. */
import "./streamcount.js";

export const { watch } = globalThis.streamcount;
