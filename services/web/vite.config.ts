// How the UI is built and, while one works on it, served: under the same content security policy as the real one.
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const OUT = "../duoscope/api/web";
const JS_FIRST_MAX = 240_000;
const CSS_MAX = 30_000;
const COMPRESSED = new Set([".js", ".css", ".svg", ".txt", ".md"]);

/** The policy of services/duoscope/api/ui/files.py; Vite's own scripts and styles carry the nonce. */
function developmentPolicy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'self' 'nonce-${nonce}'`,
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join("; ");
}

/** Writes a .br and a .gz beside each file that shrinks, and fails the build when the first page has grown too large. */
function compressed(): Plugin {
  let out = OUT;
  return {
    name: "duoscope-compressed",
    apply: "build",
    configResolved: (config) => {
      out = config.build.outDir;
    },
    writeBundle: (_, bundle) => {
      for (const entry of readdirSync(out, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !COMPRESSED.has(extname(entry.name))) continue;
        const path = join(entry.parentPath, entry.name);
        const content = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
        const quality = { [constants.BROTLI_PARAM_QUALITY]: 11 };
        writeFileSync(`${path}.br`, brotliCompressSync(content, { params: quality }));
      }
      const first = new Set<string>();
      const add = (name: string): void => {
        const chunk = bundle[name];
        if (first.has(name) || chunk?.type !== "chunk") return;
        first.add(name);
        for (const imported of chunk.imports) add(imported);
      };
      for (const [name, chunk] of Object.entries(bundle)) if (chunk.type === "chunk" && chunk.isEntry) add(name);
      const size = (names: Iterable<string>): number =>
        [...names].reduce((sum, name) => sum + gzipSync(readFileSync(join(out, name)), { level: 9 }).length, 0);
      const styles = size(Object.keys(bundle).filter((name) => name.endsWith(".css")));
      const scripts = size(first);
      process.stdout.write(`first page: ${scripts} bytes of JavaScript, ${styles} of CSS, both gzipped\n`);
      if (scripts > JS_FIRST_MAX) throw new Error(`JavaScript before the first page: ${scripts} > ${JS_FIRST_MAX}`);
      if (styles > CSS_MAX) throw new Error(`CSS: ${styles} > ${CSS_MAX}`);
    },
  };
}

const nonce = randomBytes(16).toString("base64");
const duoscope = process.env.DUOSCOPE_URL ?? "http://127.0.0.1:8080";

export default defineConfig(({ command }) => ({
  base: command === "build" ? "./" : "/",
  plugins: [react(), compressed()],
  ...(command === "serve" ? { html: { cspNonce: nonce } } : {}),
  build: {
    outDir: process.env.DUOSCOPE_WEB_OUT ?? OUT,
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
    reportCompressedSize: false,
  },
  css: { modules: { generateScopedName: command === "build" ? "[hash:base64:6]" : "[name]-[local]" } },
  server: {
    port: 5173,
    strictPort: true,
    hmr: { overlay: false },
    headers: { "content-security-policy": developmentPolicy(nonce) },
    proxy: {
      // Sources are below /api as well: the client.
      "^/(api/v1|schema|health|metrics)(/|$)": { target: duoscope },
    },
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
}));
