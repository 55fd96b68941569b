#!/usr/bin/env bash
# Start the whole service on the embedded default; arguments go to `headwater serve`.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

# With other addresses than the default ones, what `serve` says itself has to do.
[[ "$*" == *bind* ]] || cat <<'TEXT'
Headwater on loopback, data in ./data; Ctrl-C stops it.

  Image API          http://127.0.0.1:9292/v2/images
  Streams            http://127.0.0.1:9292/simplestreams/images/streams/v1/index.json
  Instance metadata  http://127.0.0.1:8775/

To try in another terminal; the README goes on from here. After `make setup`, openstack is in .venv-clients/bin.

  curl http://127.0.0.1:9292/healthcheck
  openstack --os-auth-type none --os-endpoint http://127.0.0.1:9292 image create \
      --file disk.qcow2 --disk-format qcow2 --container-format bare --public noble
  openstack --os-auth-type none --os-endpoint http://127.0.0.1:9292 image list
  .venv/bin/headwater instance add --name web1 --address 127.0.0.1 --image noble
  curl http://127.0.0.1:8775/latest/meta-data/

TEXT
exec .venv/bin/headwater serve --data-dir data "$@"
