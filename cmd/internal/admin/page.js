// Keeps the status page current. Without it the page is as complete, only older.
'use strict';
const main = document.querySelector('main[data-live]');
if (main) {
  const every = 5000;
  const busy = () => document.hidden || main.querySelector('details[open]') || main.contains(document.activeElement) || String(getSelection());
  const again = async () => {
    if (!busy()) {
      try {
        const answer = await fetch('/', {headers: {Accept: 'text/html'}});
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        const next = page.querySelector('main[data-live]');
        if (!next) return location.reload();
        if (!busy()) {
          main.replaceChildren(...next.childNodes);
          document.getElementById('age').replaceChildren(...page.getElementById('age').childNodes);
        }
      } catch {
        document.getElementById('age').textContent = 'The daemon does not answer.';
      }
    }
    setTimeout(again, every);
  };
  setTimeout(again, every);
}
