// shapes.js: what a value must look like, told in values: every object has exactly the keys of its shape.
"use strict";

class Misfit extends Error {}

// A shape is a function of (value, path) that throws Misfit with the path of what does not fit.
function misfit(path) {
  throw new Misfit(path);
}

function when(test) {
  return (value, path) => {
    if (!test(value)) misfit(path);
  };
}

function integerFrom(least, most = Number.MAX_SAFE_INTEGER) {
  return when((value) => typeof value === "number" && value >= least && value <= most);
}

function codePoints(text) {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function textOfAtMost(most, least = 0) {
  return when((value) => {
    if (typeof value !== "string" || value.length > 2 * most) return false;
    const count = codePoints(value);
    return count >= least && count <= most;
  });
}

function spelled(pattern) {
  return when((value) => typeof value === "string" && pattern.test(value));
}

function oneOf(...values) {
  return when((value) => values.includes(value));
}

function orNull(shape) {
  return (value, path) => {
    if (value !== null) shape(value, path);
  };
}

function listOf(shape, least, most) {
  return (value, path) => {
    if (!Array.isArray(value) || value.length < least || value.length > most) misfit(path);
    value.forEach((one, i) => shape(one, `${path}[${i}]`));
  };
}

function objectOf(shapes) {
  const keys = Object.keys(shapes);
  return (value, path) => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) misfit(path);
    for (const key of keys) {
      if (!Object.hasOwn(value, key)) misfit(`${path}.${key}`);
      shapes[key](value[key], `${path}.${key}`);
    }
    if (Object.keys(value).length !== keys.length) misfit(`${path}: additional keys`);
  };
}

// A shape, and then what else must be; `test` sees a value that fits the shape.
function where(shape, test) {
  return (value, path) => {
    shape(value, path);
    const wrong = test(value);
    if (wrong) misfit(`${path}.${wrong}`);
  };
}

const NATURAL = integerFrom(0);
const INTEGER = integerFrom(Number.MIN_SAFE_INTEGER);
const TEXT = when((value) => typeof value === "string");
const BOOL = when((value) => typeof value === "boolean");
const HASH = when((value) => typeof value === "string" && value.length === 44 && unbase64(value)?.length === 32);
const INSTANT_MOST = 2 ** 40;

function allDifferent(values) {
  return new Set(values).size === values.length;
}
