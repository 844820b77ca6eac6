/*! badge.js. Apache-2.0.
 *
 * The confirmed peak of an event, large, and the number of now, small, on any page:
 *
 *   <script src="https://count.example.org/badge.js"></script>
 *   <streamcount-badge event="lesson" lang="ar"></streamcount-badge>
 *
 * event    the event's id                          lang    ar or en; else the nearest lang, else the browser's
 * server   the server, if not the script's own     digits  latn (1 2 3, the default) or arab (١ ٢ ٣)
 * live     "off" leaves the number of now out
 *
 * docs/badge.md says how to style it. Theory of operation. Every few seconds, with jitter, it asks
 * GET /v1/events/ID/count, which any cache may keep for a second; not while the page is hidden, and ever more
 * seldom while there is no answer.
 *
 * Silent when uncertain: the confirmed peak is durable, and what is uncertain can only make it higher; so it stays, and
 * is greyed. The number of now is doubtful then, and goes. No number is taken from an answer that calls itself
 * uncertain, nor from one that is older than what is shown, as of a worker that lags behind; and before the
 * first certain answer there is nothing to see. Nothing here throws into the page.
 */
(function () {
  "use strict";

  const ASK_EVERY_MS = 10000; // every visitor asks, and a request costs the server more than a heartbeat
  const ASK_AGAIN_MS = 4000; // without an answer; doubled each time
  const ASK_SELDOM_MS = 60000;
  const ANSWER_WITHIN_MS = 8000;
  const UNCERTAIN_AFTER_MS = 15000; // without an answer
  const TOLD_EVERY_MS = 20000; // a screen reader hears of a new peak no more often
  const own = document.currentScript;

  // Copied from streamcount/words, where every word of this project stands; a test holds them equal. Not
  // fetched from there: a page of viewers should not load a catalogue for a dozen words.
  const WORDS = {
    en: {
      badge_peak: "confirmed peak",
      badge_live: "now, unconfirmed",
      badge_waiting: "not open yet",
      badge_none: "nobody confirmed yet",
      badge_updating: "updating",
      badge_final: "final",
      badge_rehearsal: "REHEARSAL",
      badge_full_peak: "Confirmed peak: {n} viewers at the same time.",
      badge_full_live: "Now, unconfirmed: {n}.",
      badge_full_none: "Nobody is confirmed yet.",
      badge_full_waiting: "The event is not open yet.",
      badge_full_final: "This is the final number.",
      badge_full_updating: "The number of now is not certain at the moment.",
      badge_full_rehearsal: "This is a rehearsal.",
    },
    ar: {
      badge_peak: "الذروة المؤكدة",
      badge_live: "الآن (غير مؤكد)",
      badge_waiting: "لم تُفتح بعد",
      badge_none: "لم يتأكد أحد بعد",
      badge_updating: "جارٍ التحديث",
      badge_final: "نهائية",
      badge_rehearsal: "تجربة",
      badge_full_peak: "الذروة المؤكدة للمشاهدين في الوقت نفسه: {n}.",
      badge_full_live: "الآن (غير مؤكد): {n}.",
      badge_full_none: "لم يتأكد أي مشاهد بعد.",
      badge_full_waiting: "لم تُفتح الفعالية بعد.",
      badge_full_final: "هذا هو الرقم النهائي.",
      badge_full_updating: "العدد الحالي غير يقيني في هذه اللحظة.",
      badge_full_rehearsal: "هذه تجربة.",
    },
  };

  const STYLE = `
    :host { display: inline-block; }
    :host([hidden]) { display: none; }
    #badge {
      display: grid; gap: .1em; justify-items: start; padding: .6em .9em; box-sizing: border-box; min-width: 9em;
      font: var(--streamcount-font, 1rem/1.35 system-ui, "Segoe UI", "Noto Sans", "Noto Sans Arabic", sans-serif);
      color: var(--streamcount-ink, #131a2b); background: var(--streamcount-paper, #fff);
      border: var(--streamcount-border, 1px solid #c3cbdb); border-radius: var(--streamcount-radius, .6em);
    }
    [hidden] { display: none !important; }
    #peak { font-size: 2.6em; font-weight: 700; line-height: 1.1; color: var(--streamcount-accent, #146c38); font-variant-numeric: tabular-nums; }
    #badge.doubt #peak { color: var(--streamcount-faint, #525c72); }
    #label { font-weight: 600; }
    #live, #state { font-size: .8em; color: var(--streamcount-faint, #525c72); font-variant-numeric: tabular-nums; }
    #kind { font-size: .75em; font-weight: 700; border: 1px solid currentColor; border-radius: 1em; padding: 0 .7em; color: var(--streamcount-loud, #a8211a); }
    #told { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
    @media (prefers-reduced-motion: no-preference) { #peak { transition: color .4s; } }
    @media (prefers-color-scheme: dark) {
      #badge { color: var(--streamcount-ink, #e9eefb); background: var(--streamcount-paper, #10172a); border: var(--streamcount-border, 1px solid #45527a); }
      #peak { color: var(--streamcount-accent, #5bd17f); }
      #badge.doubt #peak, #live, #state { color: var(--streamcount-faint, #a3aec6); }
      #kind { color: var(--streamcount-loud, #ff9a91); }
    }
    @media (forced-colors: active) { #badge { border: 1px solid CanvasText; } #peak, #live, #state, #kind { color: CanvasText; } }
  `;

  /** Returns the function with a net under it: what it throws is told and goes no further. */
  const safely = (action) =>
    function (...given) {
      try {
        return action.apply(this, given);
      } catch (error) {
        console.warn("streamcount:", error);
      }
    };

  class Badge extends HTMLElement {
    static get observedAttributes() {
      return ["event", "server", "lang", "digits", "live"];
    }

    constructor() {
      super();
      this.shown = null; // the last certain answer
      this.answeredAt = 0; // when it came
      this.doubtful = false; // what is known now is less than that
      this.failures = 0;
      this.timer = 0;
      this.asking = null;
      this.toldPeak = -1;
      this.toldAt = 0;
      this.onVisible = () => this.again(Math.random() * 1000);
      safely(this.build).call(this);
    }

    build() {
      const root = this.attachShadow({ mode: "open" });
      const part = (name, id) => {
        const made = document.createElement(name);
        made.id = id;
        made.setAttribute("part", id);
        return (this[`$${id}`] = made);
      };
      // One picture with a sentence for a name: its parts make no sense one by one.
      const badge = part("div", "badge");
      badge.setAttribute("role", "img");
      badge.hidden = true;
      for (const id of ["kind", "peak", "label", "live", "state"]) badge.append(part("span", id));
      const told = part("span", "told");
      told.setAttribute("role", "status");
      root.append(badge, told);
      try {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(STYLE);
        root.adoptedStyleSheets = [sheet];
      } catch (old) {
        const style = document.createElement("style");
        style.textContent = STYLE;
        root.prepend(style);
      }
    }

    connectedCallback() {
      document.addEventListener("visibilitychange", this.onVisible);
      this.again(0);
    }

    disconnectedCallback() {
      document.removeEventListener("visibilitychange", this.onVisible);
      clearTimeout(this.timer);
      if (this.asking) this.asking.abort();
    }

    attributeChangedCallback(name, before, now) {
      if (before === now) return;
      if (name === "event" || name === "server") {
        this.shown = null;
        this.toldPeak = -1;
        this.failures = 0;
        if (this.isConnected) this.again(0);
      }
      safely(this.draw).call(this);
    }

    // --- Asking ---------------------------------------------------------------------------------------

    again(afterMs) {
      clearTimeout(this.timer);
      if (document.visibilityState === "hidden") return; // `visibilitychange` goes on
      this.timer = setTimeout(() => this.ask(), afterMs);
    }

    async ask() {
      if (!this.isConnected) return;
      if (this.asking) this.asking.abort();
      const asking = (this.asking = new AbortController());
      const giveUp = setTimeout(() => asking.abort(), ANSWER_WITHIN_MS);
      try {
        const answer = await fetch(this.address(), { credentials: "omit", signal: asking.signal });
        if (!answer.ok) throw new Error(String(answer.status));
        const heard = await answer.json();
        if (asking !== this.asking) return;
        this.take(heard);
        this.failures = 0;
      } catch (failed) {
        if (asking !== this.asking) return; // another call, or another event, has taken its place
        this.failures = Math.min(this.failures + 1, 10);
        this.doubtful = this.doubtful || Date.now() - this.answeredAt > UNCERTAIN_AFTER_MS;
      } finally {
        clearTimeout(giveUp);
      }
      safely(this.draw).call(this);
      const again = Math.min(ASK_SELDOM_MS, ASK_AGAIN_MS * Math.pow(2, this.failures));
      const pause = this.failures ? again : ASK_EVERY_MS;
      this.again(pause * (0.75 + Math.random() / 2)); // jitter: badges of many pages do not ask in step
    }

    address() {
      const place = this.getAttribute("server") || (own && own.src) || location.href;
      const name = encodeURIComponent(this.getAttribute("event") || "");
      return new URL(`/v1/events/${name}/count`, new URL(place, location.href)).href;
    }

    /** Takes an answer, if it is certain and none is shown that is newer. */
    take(heard) {
      const whole = ["peak", "live"].every((name) => Number.isSafeInteger(heard[name]) && heard[name] >= 0);
      if (!whole || typeof heard.state !== "string") throw new Error("");
      const certain = !heard.uncertain && (heard.state !== "open" || heard.archived !== null);
      const older = this.shown && (heard.archived || 0) < (this.shown.archived || 0);
      if (certain && !older) {
        this.shown = heard;
        this.answeredAt = Date.now();
      }
      this.doubtful = !certain || (older && Date.now() - this.answeredAt > UNCERTAIN_AFTER_MS);
    }

    // --- Showing --------------------------------------------------------------------------------------

    language() {
      const near = this.closest("[lang]");
      const given = [this.getAttribute("lang"), near && near.lang, navigator.language];
      const first = given.find((one) => /^(ar|en)\b/i.test(one || "")) || "en";
      return first.slice(0, 2).toLowerCase();
    }

    draw() {
      const [shown, lang] = [this.shown, this.language()];
      const words = WORDS[lang];
      const badge = this.$badge;
      badge.hidden = !shown;
      if (!shown) return;
      const digits = this.getAttribute("digits") === "arab" ? "arab" : "latn";
      const write = new Intl.NumberFormat(`${lang === "ar" ? "ar-SA" : "en"}-u-nu-${digits}`);
      const number = (value) => write.format(value);
      const [final, waiting] = [shown.state === "final", shown.state === "waiting"];
      const none = shown.peak === 0 && !final;
      const live = !final && !waiting && !this.doubtful && this.getAttribute("live") !== "off";
      badge.lang = lang;
      badge.dir = lang === "ar" ? "rtl" : "ltr";
      badge.classList.toggle("doubt", this.doubtful);
      const put = (part, text) => {
        part.hidden = !text;
        if (part.textContent !== text) part.textContent = text;
      };
      put(this.$kind, shown.kind === "attempt" ? "" : words.badge_rehearsal);
      put(this.$peak, none ? "" : number(shown.peak));
      put(this.$label, waiting ? words.badge_waiting : none ? words.badge_none : words.badge_peak);
      put(this.$live, live ? `${words.badge_live}: ${number(shown.live)}` : "");
      put(this.$state, final ? words.badge_final : this.doubtful ? words.badge_updating : "");
      const say = (key, n) => words[key].replace("{n}", number(n));
      const peak = waiting ? words.badge_full_waiting : none ? words.badge_full_none : say("badge_full_peak", shown.peak);
      const whole = [
        peak,
        final ? words.badge_full_final : "",
        live ? say("badge_full_live", shown.live) : "",
        this.doubtful && !final ? words.badge_full_updating : "",
        shown.kind === "attempt" ? "" : words.badge_full_rehearsal,
      ];
      badge.setAttribute("aria-label", whole.filter(Boolean).join(" "));
      this.tell(shown.peak, peak, lang);
    }

    /** Has a screen reader say a new peak, and nothing but that: not the first, and not every few seconds. */
    tell(peak, sentence, lang) {
      const first = this.toldPeak < 0;
      if (peak === this.toldPeak || (!first && Date.now() - this.toldAt < TOLD_EVERY_MS)) return;
      this.toldPeak = peak;
      this.toldAt = first ? 0 : Date.now();
      this.$told.lang = lang;
      if (!first) this.$told.textContent = sentence;
    }
  }

  if (!customElements.get("streamcount-badge")) customElements.define("streamcount-badge", Badge);
})();
