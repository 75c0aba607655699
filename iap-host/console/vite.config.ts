import { defineConfig } from "vite";

// `npm run dev` shows a host that runs elsewhere.
const admin = process.env["IAP_ADMIN"] ?? "http://127.0.0.1:9900";

const proxy = { "/api": admin, "/metrics": admin, "/readyz": admin };

export default defineConfig({
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  server: { proxy },
  preview: { proxy },
});
