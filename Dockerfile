# The bus in a container: docs/operations.md says how to run it. The base is a tag, not a digest, so that a rebuild brings
# its security fixes.
FROM node:24-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run --silent build -- --sourceMap false --inlineSources false && chmod 755 dist/cli/main.js

# What it runs with, as the lock file says: nothing here has a script to install itself.
FROM node:24-slim AS production
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
# A container's own loopback is no use to others. Without a token the bus then refuses to start, and says so.
ENV NODE_ENV=production AGENTBUS_HOST=0.0.0.0 AGENTBUS_STORE=sqlite:/data/agentbus.db
RUN install -d -o 1000 -g 1000 -m 700 /data && ln -s /app/dist/cli/main.js /usr/local/bin/agentbus
WORKDIR /app
COPY --from=production /app ./
COPY --from=build /src/gen ./gen
COPY --from=build /src/dist ./dist
# The user "node" of the base, by its number: Kubernetes can then see that it is not root.
USER 1000:1000
VOLUME /data
EXPOSE 8091
STOPSIGNAL SIGTERM
# That the process answers, not that it is ready: a full disk is not mended by a restart. The certificate is not looked at.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["node", "-e", "const { AGENTBUS_TLS_CERT: tls, AGENTBUS_PORT: port = 8091 } = process.env; require(tls ? 'https' : 'http').get({ host: '127.0.0.1', port, path: '/healthz', rejectUnauthorized: false }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
ENTRYPOINT ["agentbus"]
CMD ["serve"]
