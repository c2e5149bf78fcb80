// Light or dark: as the system, until a person chooses.

const KEY = 'quicksilver.theme';
const DARK = matchMedia('(prefers-color-scheme: dark)');
const CHOICES = ['system', 'light', 'dark'];
const SIGNS = { system: '◐', light: '☀', dark: '☾' };

/** Apply the choice, and let a button change it. @param {HTMLButtonElement} button */
export function manageTheme(button) {
  let choice = localStorage.getItem(KEY) ?? 'system';
  const apply = () => {
    const isDark = choice === 'dark' || (choice === 'system' && DARK.matches);
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
    button.textContent = SIGNS[/** @type {keyof SIGNS} */ (choice)] ?? SIGNS.system;
    button.setAttribute('aria-label', `Colours: ${choice === 'system' ? 'as the system' : choice}`);
  };
  button.addEventListener('click', () => {
    choice = /** @type {string} */ (CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length]);
    localStorage.setItem(KEY, choice);
    apply();
  });
  DARK.addEventListener('change', apply);
  apply();
}
