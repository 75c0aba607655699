import { defineConfig } from "vite";

// `npm run dev` shows a host that runs elsewhere.
const target = process.env["IAP_ADMIN"] ?? "http://127.0.0.1:9900";
// The host compares `Origin` with `Host`: the latter must stay.
const admin = { target, changeOrigin: false };
const proxy = { "/api": admin, "^/metrics$": admin, "/readyz": admin };

export default defineConfig({
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  server: { proxy },
  preview: { proxy },
});
