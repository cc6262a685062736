// Copies the browser libraries from node_modules into static/vendor/<name>@<version>/, with their licences,
// and packs the Lucide icons listed in package.json into one sprite. Run by `npm run vendor`; Parley itself never needs npm.
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const vendor = join(root, "static", "vendor");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const modules = {
  dompurify: { from: "dist/purify.es.mjs", to: "purify.js" },
  marked: { from: "lib/marked.esm.js", to: "marked.js" },
  uplot: { from: "dist/uPlot.esm.js", to: "uPlot.js", alike: { "dist/uPlot.min.css": "uPlot.css" } },
};

function open(name) {
  const source = join(root, "node_modules", name);
  const installed = JSON.parse(readFileSync(join(source, "package.json"), "utf8")).version;
  if (installed !== manifest.dependencies[name]) {
    throw new Error(`${name} ${installed} is installed but package.json pins ${manifest.dependencies[name]}: run npm ci`);
  }
  const target = join(vendor, `${name}@${installed}`);
  mkdirSync(target, { recursive: true });
  for (const file of readdirSync(source).filter((file) => file.startsWith("LICENSE"))) {
    cpSync(join(source, file), join(target, file));
  }
  return { source, target };
}

function copyModule(name, { from, to, alike = {} }) {
  const { source, target } = open(name);
  // The source maps stay behind, and Django's hashed storage refuses a reference to a file that is not there.
  const code = readFileSync(join(source, from), "utf8").replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");
  writeFileSync(join(target, to), code);
  for (const [file, as] of Object.entries(alike)) cpSync(join(source, file), join(target, as));
}

function packIcons(names) {
  const { source, target } = open("lucide-static");
  const symbols = [...names].sort().map((name) => {
    const svg = readFileSync(join(source, "icons", `${name}.svg`), "utf8");
    const shapes = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>")).trim().replace(/\n\s*/g, "");
    return `<symbol id="${name}" viewBox="0 0 24 24">${shapes}</symbol>`;
  });
  const sprite = `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
  writeFileSync(join(target, "icons.svg"), sprite);
}

rmSync(vendor, { recursive: true, force: true });
for (const [name, files] of Object.entries(modules)) copyModule(name, files);
packIcons(manifest.icons);
