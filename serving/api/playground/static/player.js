// The transport: a slider over all steps of both runs, which can be played in their own time.
import { duration, placeAt, timeline } from './frames.js';

const FLICKER_MS = 90;
const NO_MOTION = matchMedia('(prefers-reduced-motion: reduce)');

export class Player {
  /** @param {{ play: HTMLButtonElement, slider: HTMLInputElement, clock: HTMLOutputElement, speed: HTMLSelectElement }} parts
   *  @param {import('./pane.js').Pane[]} panes */
  constructor(parts, panes) {
    this.parts = parts;
    this.panes = panes;
    /** @type {(import('./pane.js').Run | null)[]} */
    this.runs = [];
    this.times = [0];
    this.isPlaying = false;
    this.ms = 0;
    parts.play.addEventListener('click', () => this.toggle());
    parts.slider.addEventListener('input', () => {
      this.pause();
      this.seek(Number(parts.slider.value));
    });
    setInterval(() => {
      if (!NO_MOTION.matches) {
        panes.forEach((pane) => pane.flicker(this.ms));
      }
    }, FLICKER_MS);
  }

  /** Show these runs, one for each pane, at their end. @param {(import('./pane.js').Run | null)[]} runs */
  show(runs) {
    this.pause();
    this.runs = runs;
    this.times = timeline(runs.map((run) => run?.frames ?? []));
    const { slider, play } = this.parts;
    slider.max = String(this.times.length - 1);
    slider.disabled = play.disabled = this.times.length < 2;
    this.seek(this.times.length - 1);
  }

  /** Show the step at a place of the slider. @param {number} place */
  seek(place) {
    this.ms = this.times[place] ?? 0;
    const { slider, clock } = this.parts;
    slider.value = String(place);
    slider.setAttribute('aria-valuetext', `${duration(this.ms)}, ${place} of ${this.times.length - 1}`);
    clock.textContent = duration(this.ms);
    this.runs.forEach((run, i) => {
      if (run !== null) {
        this.panes[i]?.draw(run, this.ms);
      }
    });
  }

  toggle() {
    return this.isPlaying ? this.pause() : this.play();
  }

  pause() {
    this.isPlaying = false;
    this.#label();
  }

  /** Go on from here, or from the beginning when the end is shown. */
  play() {
    if (this.times.length < 2) {
      return;
    }
    if (Number(this.parts.slider.value) === this.times.length - 1) {
      this.seek(0);
    }
    this.isPlaying = true;
    this.#label();
    let last = performance.now();
    let ms = this.ms;
    /** @param {number} now */
    const advance = (now) => {
      if (!this.isPlaying) {
        return;
      }
      ms += (now - last) * Number(this.parts.speed.value);
      last = now;
      const place = placeAt(this.times, ms);
      if (place !== Number(this.parts.slider.value)) {
        this.seek(place);
      }
      if (place === this.times.length - 1) {
        this.pause();
      } else {
        requestAnimationFrame(advance);
      }
    };
    requestAnimationFrame(advance);
  }

  #label() {
    const { play } = this.parts;
    play.classList.toggle('playing', this.isPlaying);
    play.setAttribute('aria-label', this.isPlaying ? 'Pause' : 'Play');
  }
}
