#!/bin/sh
# Installs the package in a root of its own (an overlay over this machine's, gone afterwards), sets it up as an operator does, serves,
# asks, and removes it again: packaging/try.sh PACKAGE. Needs root, for the mounts.
set -eu
package=$(realpath "$1")
if [ "${2:-}" != inside ]; then
    exec unshare --mount --pid --fork --mount-proc "$0" "$package" inside
fi
say() { echo "try: $*"; }
work=$(mktemp -d)
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/run"
cp "$package" "$root/tmp/doorward.deb"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }

! inside test -e /usr/bin/doorward || { say "this machine has the package already"; exit 1; }
inside dpkg --install /tmp/doorward.deb
inside dpkg --verify doorward
inside doorward version
[ "$(inside stat -c '%U %a' /var/lib/doorward)" = "doorward 700" ]
[ "$(inside stat -c '%U:%G %a' /etc/doorward)" = "root:doorward 750" ]
if command -v systemd-analyze >/dev/null; then
    inside systemd-analyze verify /usr/lib/systemd/system/doorward.service
    inside systemd-analyze security --offline=true --threshold=25 /usr/lib/systemd/system/doorward.service | tail -n 1
fi

as_doorward() { inside setpriv --reuid=doorward --regid=doorward --clear-groups --no-new-privs "$@"; }
inside install -m 0600 -o doorward -g doorward /dev/null /etc/doorward/doorward.toml
cat > "$root/etc/doorward/doorward.toml" <<END
database = "sqlite:/var/lib/doorward/doorward.db"
listen = "127.0.0.1:9241"
issuer = "https://id.test/"
master_key_file = "/var/lib/doorward/master.key"
trusted_proxies = ["127.0.0.1"]
[monitoring]
listen = "127.0.0.1:9242"
END
as_doorward doorward keys new-master /var/lib/doorward/master.key
as_doorward doorward admin create-client --config /etc/doorward/doorward.toml --all-scopes >/dev/null
as_doorward doorward doctor --config /etc/doorward/doorward.toml
# One process from here on: each of these becomes the next.
chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin setpriv --reuid=doorward --regid=doorward --clear-groups --no-new-privs \
    doorward serve --config /etc/doorward/doorward.toml 2>"$work/log" &
server=$!
for _ in $(seq 100); do
    curl -fs http://127.0.0.1:9242/ready >/dev/null 2>&1 && break
    sleep 0.1
done
[ "$(curl -fs http://127.0.0.1:9242/ready)" = ready ] || { cat "$work/log"; exit 1; }
curl -fs -H 'Host: id.test' -H 'X-Forwarded-Proto: https' http://127.0.0.1:9241/.well-known/openid-configuration | grep -q '"issuer":"https://id.test/"'
as_doorward doorward backup --config /etc/doorward/doorward.toml /var/lib/doorward/backup.db
kill -TERM $server
wait $server
inside dpkg --purge doorward
! inside test -e /usr/bin/doorward
inside test -e /var/lib/doorward/doorward.db
say "installed, served, backed up, stopped with 0, removed; the data stayed"
