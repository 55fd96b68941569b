PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES('0010');
CREATE TABLE catalogue_revisions (
	scope VARCHAR(32) NOT NULL, 
	revision BIGINT NOT NULL, 
	PRIMARY KEY (scope)
);
INSERT INTO catalogue_revisions VALUES('public',3);
INSERT INTO catalogue_revisions VALUES('metadefs',0);
INSERT INTO catalogue_revisions VALUES('schema 0005',4);
INSERT INTO catalogue_revisions VALUES('schema 0006',4);
INSERT INTO catalogue_revisions VALUES('schema 0007',4);
INSERT INTO catalogue_revisions VALUES('schema 0008',4);
INSERT INTO catalogue_revisions VALUES('schema 0009',4);
INSERT INTO catalogue_revisions VALUES('instances',0);
INSERT INTO catalogue_revisions VALUES('schema 0010',4);
CREATE TABLE discarded_objects (
	store VARCHAR(64) NOT NULL, 
	object_key VARCHAR(255) NOT NULL, 
	discarded_at BIGINT NOT NULL, attempts INTEGER DEFAULT '0' NOT NULL, tried_at BIGINT, error VARCHAR(1024), 
	PRIMARY KEY (store, object_key)
);
INSERT INTO discarded_objects VALUES('file','objects/7',1700000000000007,0,NULL,NULL);
CREATE TABLE images (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255), 
	status VARCHAR(32) NOT NULL, 
	visibility VARCHAR(32) NOT NULL, 
	os_hidden BOOLEAN NOT NULL, 
	protected BOOLEAN NOT NULL, 
	owner VARCHAR(255), 
	disk_format VARCHAR(64), 
	container_format VARCHAR(64), 
	size BIGINT, 
	virtual_size BIGINT, 
	checksum VARCHAR(32), 
	os_hash_algo VARCHAR(64), 
	os_hash_value VARCHAR(128), 
	min_ram BIGINT NOT NULL, 
	min_disk BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	revision BIGINT NOT NULL, 
	properties TEXT NOT NULL, 
	tags TEXT NOT NULL, audience VARCHAR(270) DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO images VALUES('00000001-1111-4111-8111-111111111111','image 1','active','public',0,1,'p1','qcow2','bare',1048576,2097152,'d41d8cd98f00b204e9800998ecf8427e','sha512','abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab',0,0,1700000000000001,1700000000000001,1,'{"os_distro":"ubuntu","ähnlich":"größer 😀"}','["lts","😀"]','everybody');
INSERT INTO images VALUES('00000002-1111-4111-8111-111111111111','image 2','active','private',1,0,'p1','qcow2','bare',1048576,2097152,'d41d8cd98f00b204e9800998ecf8427e','sha512','abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab',0,0,1700000000000002,1700000000000002,1,'{}','[]','hidden project:p1');
INSERT INTO images VALUES('00000003-1111-4111-8111-111111111111','image 3','active','shared',0,0,'p1','qcow2','bare',1048576,2097152,'d41d8cd98f00b204e9800998ecf8427e','sha512','abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab',0,0,1700000000000003,1700000000000003,1,'{}','[]','project:p1');
INSERT INTO images VALUES('00000004-1111-4111-8111-111111111111',NULL,'queued','community',0,0,NULL,'qcow2','bare',NULL,NULL,NULL,NULL,NULL,0,0,1700000000000004,1700000000000004,1,'{}','[]','');
INSERT INTO images VALUES('00000005-1111-4111-8111-111111111111','image 5','saving','private',0,0,'p1','qcow2','bare',NULL,NULL,NULL,NULL,NULL,0,0,1700000000000005,1700000000000005,1,'{}','[]','project:p1');
CREATE TABLE instances (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	revision INTEGER NOT NULL, 
	document TEXT NOT NULL, project_id VARCHAR(255), image_id VARCHAR(36), serial VARCHAR(64), 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO instances VALUES('000000a1-1111-4111-8111-111111111111','web1',1700000000000000,1700000000000000,1,'{"instance":{"id":"000000a1-1111-4111-8111-111111111111","name":"web1","hostname":"web","created_at":1700000000000000,"updated_at":1700000000000000,"revision":0,"project_id":null,"addresses":["10.0.0.5"],"public_ipv4":null,"keys":[],"user_data":null,"vendor_data":null,"meta":{"role":"web"},"image_id":null,"image_name":null,"kernel_id":null,"ramdisk_id":null,"instance_type":null,"availability_zone":null,"launch_index":0,"reservation_id":null,"security_groups":["default"],"block_devices":{"ami":"sda1","ephemeral0":"sda2","root":"/dev/sda1","swap":"sda3"},"devices":[],"dedicated_cpus":[],"network_data":null,"files":[]},"replaced":null}',NULL,NULL,'rack-7');
CREATE TABLE uploads (
	image_id VARCHAR(36) NOT NULL, 
	store VARCHAR(64) NOT NULL, 
	object_key VARCHAR(255) NOT NULL, 
	writer VARCHAR(255) NOT NULL, 
	expires_at BIGINT NOT NULL, size BIGINT, owner VARCHAR(255), 
	PRIMARY KEY (image_id)
);
INSERT INTO uploads VALUES('00000005-1111-4111-8111-111111111111','file','objects/5','host:1:2',1700000060000000,NULL,'p1');
CREATE TABLE image_properties (
	image_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	value_digest VARCHAR(32) NOT NULL, 
	created_at BIGINT NOT NULL, audience VARCHAR(270) DEFAULT '' NOT NULL, 
	PRIMARY KEY (image_id, name), 
	FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE CASCADE
);
INSERT INTO image_properties VALUES('00000001-1111-4111-8111-111111111111','os_distro','7804a56a5c7636cc05814736f44139e3',1700000000000001,'everybody');
INSERT INTO image_properties VALUES('00000001-1111-4111-8111-111111111111','ähnlich','a551cdacb6c83c7c76a11b952ae9c851',1700000000000001,'everybody');
CREATE TABLE image_tags (
	image_id VARCHAR(36) NOT NULL, 
	tag VARCHAR(255) NOT NULL, 
	created_at BIGINT NOT NULL, audience VARCHAR(270) DEFAULT '' NOT NULL, 
	PRIMARY KEY (image_id, tag), 
	FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE CASCADE
);
INSERT INTO image_tags VALUES('00000001-1111-4111-8111-111111111111','lts',1700000000000001,'everybody');
INSERT INTO image_tags VALUES('00000001-1111-4111-8111-111111111111','😀',1700000000000001,'everybody');
CREATE TABLE metadef_namespaces (
	id VARCHAR(36) NOT NULL, 
	namespace VARCHAR(80) NOT NULL, 
	visibility VARCHAR(32) NOT NULL, 
	protected BOOLEAN NOT NULL, 
	owner VARCHAR(255), 
	display_name VARCHAR(80), 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (namespace)
);
INSERT INTO metadef_namespaces VALUES('000000b1-1111-4111-8111-111111111111','OS::Test','public',0,'p1','Test',1700000000000000,1700000000000000,'{"description":"Which kind of volume is made from an image.","associations":[{"name":"OS::Glance::Image","created_at":1700000000000000,"updated_at":1700000000000000,"prefix":"cinder_","properties_target":null}],"properties":[{"name":"img_volume_type","definition":{"title":"Volume type","description":"Volume type of new volumes, where the request names none.","type":"string"}}],"objects":[],"tags":[]}');
CREATE TABLE metadef_resource_types (
	name VARCHAR(80) NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO metadef_resource_types VALUES('OS::Glance::Image',1700000000000000,1700000000000000);
CREATE TABLE metadef_associations (
	namespace_id VARCHAR(36) NOT NULL, 
	resource_type VARCHAR(80) NOT NULL, 
	PRIMARY KEY (namespace_id, resource_type), 
	FOREIGN KEY(namespace_id) REFERENCES metadef_namespaces (id) ON DELETE CASCADE
);
INSERT INTO metadef_associations VALUES('000000b1-1111-4111-8111-111111111111','OS::Glance::Image');
CREATE TABLE image_members (
	image_id VARCHAR(36) NOT NULL, 
	member VARCHAR(255) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	image_created_at BIGINT NOT NULL, can_share BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (image_id, member), 
	FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE CASCADE
);
INSERT INTO image_members VALUES('00000003-1111-4111-8111-111111111111','p2','accepted',1700000000000000,1700000000000000,1700000000000003,0);
CREATE TABLE image_locations (
	image_id VARCHAR(36) NOT NULL, 
	position INTEGER NOT NULL, 
	store VARCHAR(64) NOT NULL, 
	object_key TEXT NOT NULL, 
	metadata TEXT NOT NULL, verdict VARCHAR(1024), 
	PRIMARY KEY (image_id, position), 
	FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE CASCADE
);
INSERT INTO image_locations VALUES('00000001-1111-4111-8111-111111111111',0,'file','objects/1','{}','right');
INSERT INTO image_locations VALUES('00000002-1111-4111-8111-111111111111',0,'file','objects/2','{}',NULL);
INSERT INTO image_locations VALUES('00000003-1111-4111-8111-111111111111',0,'file','objects/3','{}',NULL);
CREATE TABLE purged_images (
	id VARCHAR(36) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO purged_images VALUES('00000009-1111-4111-8111-111111111111');
CREATE TABLE deleted_images (
	id VARCHAR(36) NOT NULL, 
	owner VARCHAR(255), 
	deleted_at BIGINT NOT NULL, 
	document TEXT NOT NULL, created_at BIGINT, 
	PRIMARY KEY (id)
);
INSERT INTO deleted_images VALUES('00000007-1111-4111-8111-111111111111','p1',1700000000000007,'{"id": "00000007-1111-4111-8111-111111111111", "name": "image 7", "status": "deleted", "visibility": "private", "os_hidden": false, "protected": false, "owner": "p1", "disk_format": "qcow2", "container_format": "bare", "size": 1048576, "virtual_size": 2097152, "checksum": "d41d8cd98f00b204e9800998ecf8427e", "os_hash_algo": "sha512", "os_hash_value": "abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab", "min_ram": 0, "min_disk": 0, "created_at": 1700000000000007, "updated_at": 1700000000000007, "revision": 1, "properties": "{}", "tags": "[]", "audience": "project:p1"}',1700000000000007);
INSERT INTO deleted_images VALUES('00000008-1111-4111-8111-111111111111','p1',1700000000000008,'{"id": "00000008-1111-4111-8111-111111111111", "name": "image 8", "status": "deleted", "visibility": "private", "os_hidden": false, "protected": false, "owner": "p1", "disk_format": "qcow2", "container_format": "bare", "size": 1048576, "virtual_size": 2097152, "checksum": "d41d8cd98f00b204e9800998ecf8427e", "os_hash_algo": "sha512", "os_hash_value": "abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab", "min_ram": 0, "min_disk": 0, "created_at": 1700000000000008, "updated_at": 1700000000000008, "revision": 1, "properties": "{}", "tags": "[]", "audience": "project:p1"}',1700000000000008);
CREATE TABLE tasks (
	id VARCHAR(36) NOT NULL, 
	type VARCHAR(64) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	owner VARCHAR(255), 
	user_id VARCHAR(255), 
	image_id VARCHAR(36), 
	request_id VARCHAR(255), 
	input TEXT NOT NULL, 
	result TEXT, 
	message TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	expires_at BIGINT, bytes_done BIGINT, bytes_total BIGINT, 
	PRIMARY KEY (id)
);
INSERT INTO tasks VALUES('000000c1-1111-4111-8111-111111111111','api_image_import','pending','p1','u1','00000005-1111-4111-8111-111111111111','req-1','{"image_id":"00000005-1111-4111-8111-111111111111"}',NULL,'',1700000000000000,1700000000000000,NULL,1024,8192);
CREATE TABLE jobs (
	id VARCHAR(36) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	document TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	run_at BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	runner VARCHAR(255), began_at BIGINT, failed_at BIGINT, error TEXT, cancelled_by VARCHAR(255), 
	PRIMARY KEY (id)
);
INSERT INTO jobs VALUES('000000d1-1111-4111-8111-111111111111','import','{"task_id":"000000c1-1111-4111-8111-111111111111"}',1700000000000000,1700000000000000,1,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE project_locks (
	project_id VARCHAR(255) NOT NULL, 
	PRIMARY KEY (project_id)
);
INSERT INTO project_locks VALUES('p1');
CREATE TABLE notifications (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	target VARCHAR(16) NOT NULL, 
	document TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	attempts INTEGER NOT NULL
);
INSERT INTO notifications VALUES(1,'webhook','{}',1700000000000000,1700000000000000,0);
CREATE TABLE notification_targets (
	target VARCHAR(16) NOT NULL, 
	sender VARCHAR(255), 
	expires_at BIGINT NOT NULL, 
	rests_until BIGINT NOT NULL, 
	failures INTEGER NOT NULL, 
	PRIMARY KEY (target)
);
INSERT INTO notification_targets VALUES('webhook',NULL,0,0,0);
CREATE TABLE stores (
	name VARCHAR(64) NOT NULL, 
	identity VARCHAR(32) NOT NULL, 
	admitted_at BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO stores VALUES('file','0123456789abcdef0123456789abcdef',1700000000000000);
CREATE TABLE public_changes (
	revision BIGINT NOT NULL, 
	image_id VARCHAR(36) NOT NULL, 
	PRIMARY KEY (revision)
);
INSERT INTO public_changes VALUES(3,'00000001-1111-4111-8111-111111111111');
CREATE TABLE import_objects (
	store VARCHAR(64) NOT NULL, 
	object_key VARCHAR(255) NOT NULL, 
	image_id VARCHAR(36) NOT NULL, 
	task_id VARCHAR(36), 
	size BIGINT, 
	document TEXT NOT NULL, 
	PRIMARY KEY (store, object_key)
);
INSERT INTO import_objects VALUES('file','objects/5.staged','00000005-1111-4111-8111-111111111111',NULL,4096,'{"size":4096,"checksum":"c"}');
CREATE TABLE idempotency_keys (
	owner VARCHAR(255) NOT NULL, 
	user_id VARCHAR(255) NOT NULL, 
	idempotency_key VARCHAR(255) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	image_id VARCHAR(36) NOT NULL, 
	expires_at BIGINT NOT NULL, 
	PRIMARY KEY (owner, user_id, idempotency_key)
);
INSERT INTO idempotency_keys VALUES('p1','u1','key 😀','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','00000001-1111-4111-8111-111111111111',1800000000000000);
CREATE TABLE resumable_uploads (
	id VARCHAR(32) NOT NULL, 
	image_id VARCHAR(36) NOT NULL, 
	store VARCHAR(64) NOT NULL, 
	object_key VARCHAR(255) NOT NULL, 
	length BIGINT, 
	received BIGINT NOT NULL, 
	digests TEXT NOT NULL, 
	is_complete BOOLEAN NOT NULL, 
	expires_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO resumable_uploads VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','00000005-1111-4111-8111-111111111111','file','objects/5',8192,1024,'{}',0,1800000000000000);
CREATE TABLE pending_deletes (
	image_id VARCHAR(36) NOT NULL, 
	owner VARCHAR(255), 
	deleted_at BIGINT NOT NULL, 
	scrub_at BIGINT NOT NULL, 
	stored_size BIGINT NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (image_id)
);
INSERT INTO pending_deletes VALUES('00000008-1111-4111-8111-111111111111','p1',1700000000000008,1700003600000008,1048576,'{"id": "00000008-1111-4111-8111-111111111111", "name": "image 8", "status": "pending_delete", "visibility": "private", "os_hidden": false, "protected": false, "owner": "p1", "disk_format": "qcow2", "container_format": "bare", "size": 1048576, "virtual_size": 2097152, "checksum": "d41d8cd98f00b204e9800998ecf8427e", "os_hash_algo": "sha512", "os_hash_value": "abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab", "min_ram": 0, "min_disk": 0, "created_at": 1700000000000008, "updated_at": 1700000000000008, "revision": 1, "properties": "{}", "tags": "[]", "audience": "project:p1", "members": [], "locations": [{"store": "file", "key": "objects/8", "metadata": {}, "verdict": null}], "user_id": "u1", "project_id": "p1"}');
CREATE TABLE image_uses (
	image_id VARCHAR(36) NOT NULL, 
	used_at BIGINT NOT NULL, 
	PRIMARY KEY (image_id), 
	FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE CASCADE
);
INSERT INTO image_uses VALUES('00000001-1111-4111-8111-111111111111',1700000000000001);
CREATE TABLE instance_secrets (
	id VARCHAR(36) NOT NULL, 
	made_at BIGINT NOT NULL, 
	secret VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO instance_secrets VALUES('00000000-0000-4000-8000-000000000001',1700000000000000,'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef');
CREATE TABLE instance_seeds (
	digest VARCHAR(64) NOT NULL, 
	instance_id VARCHAR(36) NOT NULL, 
	made_at BIGINT NOT NULL, 
	PRIMARY KEY (digest), 
	FOREIGN KEY(instance_id) REFERENCES instances (id) ON DELETE CASCADE
);
INSERT INTO instance_seeds VALUES('0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','000000a1-1111-4111-8111-111111111111',1700000000000000);
CREATE TABLE instance_passwords (
	instance_id VARCHAR(36) NOT NULL, 
	posted_at BIGINT NOT NULL, 
	value VARCHAR(1020) NOT NULL, 
	PRIMARY KEY (instance_id), 
	FOREIGN KEY(instance_id) REFERENCES instances (id) ON DELETE CASCADE
);
INSERT INTO instance_passwords VALUES('000000a1-1111-4111-8111-111111111111',1700000000000000,'cGFzc3dvcmQ=');
CREATE TABLE controller_images (
	identity VARCHAR(64) NOT NULL, 
	created_at BIGINT NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (identity)
);
INSERT INTO controller_images VALUES('0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',1700000000000000,'{"image_id":"ami-1","region":"west"}');
CREATE TABLE image_fingerprints (
	image_id VARCHAR(36) NOT NULL, 
	data_hash VARCHAR(128) NOT NULL, 
	sha256 VARCHAR(64), 
	product VARCHAR(255), 
	metadata TEXT, 
	combined VARCHAR(64), 
	tried_at BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	error VARCHAR(1024), 
	PRIMARY KEY (image_id), 
	FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE CASCADE
);
INSERT INTO image_fingerprints VALUES('00000001-1111-4111-8111-111111111111','0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','debian:13:amd64:default',NULL,'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',1700000000000000,1,NULL);
CREATE TABLE private_paths (
	id VARCHAR(36) NOT NULL, 
	secret_hash VARCHAR(64) NOT NULL, 
	project_id VARCHAR(255) NOT NULL, 
	user_id VARCHAR(255), 
	name VARCHAR(255), 
	with_community BOOLEAN NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (secret_hash)
);
INSERT INTO private_paths VALUES('00000000-0000-4000-8000-000000000002','0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','p1','u1','ours',0,1700000000000000,NULL);
CREATE TABLE stream_sources (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	document TEXT NOT NULL, 
	project_id VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	next_run_at BIGINT, 
	job_id VARCHAR(36), 
	began_at BIGINT, 
	ended_at BIGINT, 
	succeeded_at BIGINT, 
	outcome VARCHAR(16), 
	error TEXT, 
	report TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO stream_sources VALUES('00000000-0000-4000-8000-000000000003','ubuntu','{"url":"http://127.0.0.1/"}',NULL,1700000000000000,1700000000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE instance_visits (
	id VARCHAR(36) NOT NULL, 
	instance_id VARCHAR(36) NOT NULL, 
	at BIGINT NOT NULL, 
	entries INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(instance_id) REFERENCES instances (id) ON DELETE CASCADE
);
INSERT INTO instance_visits VALUES('a0000001-1111-4111-8111-111111111111','000000a1-1111-4111-8111-111111111111',1800000000000000,1,'[{"at":1800000000000000,"method":"GET","document":"openstack/latest/meta_data.json","status":200,"ms":1.5,"sent":512,"complete":true,"token":false,"agent":"Cloud-Init/24.4","report":null}]');
CREATE TABLE instance_identity_keys (
	id VARCHAR(36) NOT NULL, 
	made_at BIGINT NOT NULL, 
	private_key TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO instance_identity_keys VALUES('b0000001-1111-4111-8111-111111111111',1800000000000000,'s1.AbCdEf.c2VhbGVk');
CREATE TABLE IF NOT EXISTS "instance_addresses" (
	address VARCHAR(45) NOT NULL, 
	network VARCHAR(64) DEFAULT '' NOT NULL, 
	instance_id VARCHAR(36) NOT NULL, 
	PRIMARY KEY (address, network), 
	FOREIGN KEY(instance_id) REFERENCES instances (id) ON DELETE CASCADE
);
INSERT INTO instance_addresses VALUES('10.0.0.5','','000000a1-1111-4111-8111-111111111111');
CREATE TABLE instance_macs (
	mac VARCHAR(17) NOT NULL, 
	instance_id VARCHAR(36) NOT NULL, 
	PRIMARY KEY (mac, instance_id), 
	FOREIGN KEY(instance_id) REFERENCES instances (id) ON DELETE CASCADE
);
INSERT INTO instance_macs VALUES('fa:16:3e:00:00:01','000000a1-1111-4111-8111-111111111111');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('notifications',1);
CREATE INDEX ix_discarded_objects_discarded_at ON discarded_objects (discarded_at);
CREATE INDEX ix_images_checksum ON images (os_hidden, checksum, created_at, id);
CREATE INDEX ix_images_container_format ON images (os_hidden, container_format, created_at, id);
CREATE INDEX ix_images_created_at ON images (os_hidden, created_at, id);
CREATE INDEX ix_images_disk_format ON images (os_hidden, disk_format, created_at, id);
CREATE INDEX ix_images_id ON images (os_hidden, id);
CREATE INDEX ix_images_name ON images (os_hidden, name, created_at, id);
CREATE INDEX ix_images_os_hash_value ON images (os_hidden, os_hash_value, created_at, id);
CREATE INDEX ix_images_owner ON images (os_hidden, owner, created_at, id);
CREATE INDEX ix_images_size ON images (os_hidden, size, created_at, id);
CREATE INDEX ix_images_status ON images (os_hidden, status, created_at, id);
CREATE INDEX ix_images_updated_at ON images (os_hidden, updated_at, created_at, id);
CREATE INDEX ix_images_visibility ON images (os_hidden, visibility, created_at, id);
CREATE INDEX ix_uploads_expires_at ON uploads (expires_at);
CREATE INDEX ix_image_properties_value ON image_properties (name, value_digest, created_at, image_id);
CREATE INDEX ix_image_tags_tag ON image_tags (tag, created_at, image_id);
CREATE INDEX ix_metadef_namespaces_created_at ON metadef_namespaces (created_at, namespace);
CREATE INDEX ix_metadef_associations_resource_type ON metadef_associations (resource_type, namespace_id);
CREATE INDEX ix_image_members_member ON image_members (member, status, image_created_at, image_id);
CREATE INDEX ix_deleted_images_deleted_at ON deleted_images (deleted_at);
CREATE INDEX ix_deleted_images_owner ON deleted_images (owner, deleted_at);
CREATE INDEX ix_tasks_created_at ON tasks (created_at, id);
CREATE INDEX ix_tasks_owner ON tasks (owner, created_at, id);
CREATE INDEX ix_tasks_image_id ON tasks (image_id, created_at);
CREATE INDEX ix_tasks_expires_at ON tasks (expires_at);
CREATE INDEX ix_jobs_run_at ON jobs (kind, run_at, created_at);
CREATE INDEX ix_jobs_runner ON jobs (runner);
CREATE INDEX ix_uploads_owner ON uploads (owner);
CREATE INDEX ix_notifications_created_at ON notifications (created_at);
CREATE INDEX ix_notifications_target ON notifications (target, sequence);
CREATE INDEX ix_images_audience ON images (audience, created_at, id);
CREATE INDEX ix_images_audience_name ON images (audience, name, created_at, id);
CREATE INDEX ix_images_audience_size ON images (audience, size, created_at, id);
CREATE INDEX ix_images_audience_updated_at ON images (audience, updated_at, created_at, id);
CREATE INDEX ix_image_properties_audience ON image_properties (audience, name, value_digest, created_at, image_id);
CREATE INDEX ix_image_tags_audience ON image_tags (audience, tag, created_at, image_id);
CREATE INDEX ix_deleted_images_created_at ON deleted_images (created_at, id);
CREATE INDEX ix_deleted_images_owner_created_at ON deleted_images (owner, created_at, id);
CREATE INDEX ix_import_objects_image_id ON import_objects (image_id);
CREATE INDEX ix_idempotency_keys_expires_at ON idempotency_keys (expires_at);
CREATE INDEX ix_resumable_uploads_image_id ON resumable_uploads (image_id);
CREATE INDEX ix_resumable_uploads_expires_at ON resumable_uploads (expires_at);
CREATE INDEX ix_pending_deletes_scrub_at ON pending_deletes (scrub_at, image_id);
CREATE INDEX ix_pending_deletes_owner ON pending_deletes (owner, stored_size);
CREATE INDEX ix_pending_deletes_deleted_at ON pending_deletes (deleted_at, stored_size);
CREATE INDEX ix_instance_seeds_instance_id ON instance_seeds (instance_id);
CREATE INDEX ix_private_paths_project_id ON private_paths (project_id, created_at);
CREATE UNIQUE INDEX ix_stream_sources_name ON stream_sources (name);
CREATE INDEX ix_stream_sources_next_run_at ON stream_sources (next_run_at);
CREATE INDEX ix_instance_visits_instance_id ON instance_visits (instance_id, at);
CREATE INDEX ix_instances_project_id ON instances (project_id, name);
CREATE INDEX ix_instances_image_id ON instances (image_id, name);
CREATE INDEX ix_instance_addresses_instance_id ON instance_addresses (instance_id);
CREATE UNIQUE INDEX ix_instances_serial ON instances (serial);
CREATE INDEX ix_instance_macs_instance_id ON instance_macs (instance_id);
COMMIT;
