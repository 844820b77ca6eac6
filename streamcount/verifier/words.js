// words.js: words in the language of the page, and numbers in its digits.
"use strict";

const WORDS = { en: WORDS_EN, ar: WORDS_AR };
const ARABIC_DIGITS = "٠١٢٣٤٥٦٧٨٩";
const speaking = { language: "en", arabicDigits: false };

function say(key, values = {}) {
  return WORDS[speaking.language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// Between things of one line.
function parted(...things) {
  return things.join(speaking.language === "ar" ? "؛ " : "; ");
}

function digits(text) {
  return speaking.arabicDigits ? text.replace(/[0-9]/g, (digit) => ARABIC_DIGITS[digit]) : text;
}

function number(value) {
  if (value === null || value === undefined) return "–";
  const grouped = String(value).replace(/\B(?=(\d{3})+$)/g, speaking.arabicDigits ? "٬" : ",");
  return digits(grouped);
}

// A number in thousandths.
function thousandths(value) {
  const rest = String(value % 1000).padStart(3, "0");
  return number(Math.floor(value / 1000)) + (speaking.arabicDigits ? "٫" : ".") + digits(rest);
}
