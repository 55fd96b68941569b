BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE catalogue_revisions (
	scope VARCHAR(32) NOT NULL, 
	revision BIGINT NOT NULL, 
	PRIMARY KEY (scope)
);
INSERT INTO "catalogue_revisions" VALUES('public',3);
INSERT INTO "catalogue_revisions" VALUES('metadefs',0);
CREATE TABLE deleted_images (
	id VARCHAR(36) NOT NULL, 
	owner VARCHAR(255), 
	deleted_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "deleted_images" VALUES('00000007-1111-4111-8111-111111111111','p1',1700000000000007);
INSERT INTO "deleted_images" VALUES('00000008-1111-4111-8111-111111111111','p1',1700000000000008);
CREATE TABLE discarded_objects (
	store VARCHAR(64) NOT NULL, 
	object_key VARCHAR(255) NOT NULL, 
	discarded_at BIGINT NOT NULL, 
	PRIMARY KEY (store, object_key)
);
INSERT INTO "discarded_objects" VALUES('file','objects/7',1700000000000007);
CREATE TABLE image_locations (
	image_id VARCHAR(36) NOT NULL, 
	store VARCHAR(64) NOT NULL, 
	object_key VARCHAR(255) NOT NULL, 
	PRIMARY KEY (image_id, store), 
	FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE CASCADE
);
INSERT INTO "image_locations" VALUES('00000001-1111-4111-8111-111111111111','file','objects/1');
INSERT INTO "image_locations" VALUES('00000002-1111-4111-8111-111111111111','file','objects/2');
INSERT INTO "image_locations" VALUES('00000003-1111-4111-8111-111111111111','file','objects/3');
CREATE TABLE image_properties (
	image_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	value_digest VARCHAR(32) NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (image_id, name), 
	FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE CASCADE
);
INSERT INTO "image_properties" VALUES('00000001-1111-4111-8111-111111111111','os_distro','7804a56a5c7636cc05814736f44139e3',1700000000000001);
INSERT INTO "image_properties" VALUES('00000001-1111-4111-8111-111111111111','ähnlich','a551cdacb6c83c7c76a11b952ae9c851',1700000000000001);
CREATE TABLE image_tags (
	image_id VARCHAR(36) NOT NULL, 
	tag VARCHAR(255) NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (image_id, tag), 
	FOREIGN KEY(image_id) REFERENCES images (id) ON DELETE CASCADE
);
INSERT INTO "image_tags" VALUES('00000001-1111-4111-8111-111111111111','lts',1700000000000001);
INSERT INTO "image_tags" VALUES('00000001-1111-4111-8111-111111111111','😀',1700000000000001);
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
	tags TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "images" VALUES('00000001-1111-4111-8111-111111111111','image 1','active','public',0,1,'p1','qcow2','bare',1048576,2097152,'d41d8cd98f00b204e9800998ecf8427e','sha512','abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab',0,0,1700000000000001,1700000000000001,1,'{"os_distro":"ubuntu","ähnlich":"größer 😀"}','["lts","😀"]');
INSERT INTO "images" VALUES('00000002-1111-4111-8111-111111111111','image 2','active','private',1,0,'p1','qcow2','bare',1048576,2097152,'d41d8cd98f00b204e9800998ecf8427e','sha512','abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab',0,0,1700000000000002,1700000000000002,1,'{}','[]');
INSERT INTO "images" VALUES('00000003-1111-4111-8111-111111111111','image 3','active','shared',0,0,'p1','qcow2','bare',1048576,2097152,'d41d8cd98f00b204e9800998ecf8427e','sha512','abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab',0,0,1700000000000003,1700000000000003,1,'{}','[]');
INSERT INTO "images" VALUES('00000004-1111-4111-8111-111111111111',NULL,'queued','community',0,0,NULL,'qcow2','bare',NULL,NULL,NULL,NULL,NULL,0,0,1700000000000004,1700000000000004,1,'{}','[]');
INSERT INTO "images" VALUES('00000005-1111-4111-8111-111111111111','image 5','saving','private',0,0,'p1','qcow2','bare',NULL,NULL,NULL,NULL,NULL,0,0,1700000000000005,1700000000000005,1,'{}','[]');
CREATE TABLE instance_addresses (
	address VARCHAR(45) NOT NULL, 
	instance_id VARCHAR(36) NOT NULL, 
	PRIMARY KEY (address), 
	FOREIGN KEY(instance_id) REFERENCES instances (id) ON DELETE CASCADE
);
INSERT INTO "instance_addresses" VALUES('10.0.0.5','000000a1-1111-4111-8111-111111111111');
CREATE TABLE instances (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	revision INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "instances" VALUES('000000a1-1111-4111-8111-111111111111','web1',1700000000000000,1700000000000000,1,'{"instance":{"id":"000000a1-1111-4111-8111-111111111111","name":"web1","hostname":"web","created_at":1700000000000000,"updated_at":1700000000000000,"revision":0,"project_id":null,"addresses":["10.0.0.5"],"public_ipv4":null,"keys":[],"user_data":null,"vendor_data":null,"meta":{"role":"web"},"image_id":null,"image_name":null,"kernel_id":null,"ramdisk_id":null,"instance_type":null,"availability_zone":null,"launch_index":0,"reservation_id":null,"security_groups":["default"],"block_devices":{"ami":"sda1","ephemeral0":"sda2","root":"/dev/sda1","swap":"sda3"},"devices":[],"dedicated_cpus":[],"network_data":null,"files":[]},"replaced":null}');
CREATE TABLE metadef_associations (
	namespace_id VARCHAR(36) NOT NULL, 
	resource_type VARCHAR(80) NOT NULL, 
	PRIMARY KEY (namespace_id, resource_type), 
	FOREIGN KEY(namespace_id) REFERENCES metadef_namespaces (id) ON DELETE CASCADE
);
INSERT INTO "metadef_associations" VALUES('000000b1-1111-4111-8111-111111111111','OS::Glance::Image');
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
INSERT INTO "metadef_namespaces" VALUES('000000b1-1111-4111-8111-111111111111','OS::Test','public',0,'p1','Test',1700000000000000,1700000000000000,'{"description":"Which kind of volume is made from an image.","associations":[{"name":"OS::Glance::Image","created_at":1700000000000000,"updated_at":1700000000000000,"prefix":"cinder_","properties_target":null}],"properties":[{"name":"img_volume_type","definition":{"title":"Volume type","description":"Volume type of new volumes, where the request names none.","type":"string"}}],"objects":[],"tags":[]}');
CREATE TABLE metadef_resource_types (
	name VARCHAR(80) NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "metadef_resource_types" VALUES('OS::Glance::Image',1700000000000000,1700000000000000);
CREATE TABLE uploads (
	image_id VARCHAR(36) NOT NULL, 
	store VARCHAR(64) NOT NULL, 
	object_key VARCHAR(255) NOT NULL, 
	writer VARCHAR(255) NOT NULL, 
	expires_at BIGINT NOT NULL, 
	PRIMARY KEY (image_id)
);
INSERT INTO "uploads" VALUES('00000005-1111-4111-8111-111111111111','file','objects/5','host:1:2',1700000060000000);
CREATE INDEX ix_deleted_images_deleted_at ON deleted_images (deleted_at);
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
CREATE INDEX ix_instance_addresses_instance_id ON instance_addresses (instance_id);
CREATE INDEX ix_metadef_namespaces_created_at ON metadef_namespaces (created_at, namespace);
CREATE INDEX ix_metadef_associations_resource_type ON metadef_associations (resource_type, namespace_id);
COMMIT;
