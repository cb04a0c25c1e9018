// Checks pages of the administrator's listener with axe-core in Chromium, in light
// and dark, wide and narrow, and tells of what is wrong as JSON.
//
//   node axe.mjs MODULES CHROMIUM URL...
//
// MODULES is a directory with puppeteer-core and axe-core in its node_modules.
import {createRequire} from 'node:module';
import {readFileSync} from 'node:fs';

const [modules, chromium, ...pages] = process.argv.slice(2);
const require = createRequire(modules + '/');
const puppeteer = require('puppeteer-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const browser = await puppeteer.launch({executablePath: chromium, headless: true, args: ['--no-sandbox', '--disable-gpu']});
const faults = [];
let checked = 0;
for (const url of pages) {
  for (const scheme of ['light', 'dark']) {
    for (const width of [1080, 400]) {
      const page = await browser.newPage();
      await page.setBypassCSP(true); // the page's own policy allows no foreign script
      await page.setViewport({width, height: 900});
      await page.emulateMediaFeatures([{name: 'prefers-color-scheme', value: scheme}]);
      await page.goto(url, {waitUntil: 'load'});
      await page.evaluate(() => document.querySelectorAll('details').forEach(d => { d.open = true; }));
      await page.evaluate(axe);
      const result = await page.evaluate(() => window.axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      if (wide) faults.push({url, scheme, width, rule: 'fits the screen', nodes: ['html']});
      for (const v of result.violations) {
        faults.push({url, scheme, width, rule: v.id + ': ' + v.help, nodes: v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary)});
      }
      checked += result.passes.length;
      await page.close();
    }
  }
}
await browser.close();
console.log(JSON.stringify({checked, faults}, null, 2));
