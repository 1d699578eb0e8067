#!/bin/busybox sh
# The guest's first process. The machine's root comes over 9p, read-only, below an overlay that keeps every write in memory.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
give_up() {
  echo "guest: $*" >/dev/ttyS0
  sleep 1
  poweroff -f
}
for module in virtio_pci virtio_console 9pnet_virtio 9p overlay; do
  modprobe "$module" || give_up "no module $module"
done
mkdir -p /machine /memory /root
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /machine || give_up 'no 9p file system'
mount -t tmpfs tmpfs /memory
mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/machine,upperdir=/memory/upper,workdir=/memory/work overlay /root || give_up 'no overlay'
cd /root || give_up 'no root'
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t devtmpfs devtmpfs dev
mkdir -p dev/pts dev/shm
mount -t devpts devpts dev/pts
for folder in dev/shm run; do mount -t tmpfs tmpfs "$folder"; done
for link in fd:/proc/self/fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -s "${link#*:}" "dev/${link%%:*}"; done
modules=lib/modules/$(uname -r)
mkdir -p "$modules" run/lock
mount -o bind ".$(cat /modules)/$modules" "$modules" || give_up 'no modules'
# The kernel loads more modules by itself: with a modprobe that needs nothing of the machine.
for name in modprobe insmod rmmod lsmod; do
  rm -f "usr/sbin/$name"
  cp /bin/busybox "usr/sbin/$name"
done
cp /bin/busybox /job /command run
hostname guest
ip link set lo up
mount -o move . /
exec chroot . /bin/bash /run/job </dev/null >/dev/ttyS0 2>&1
