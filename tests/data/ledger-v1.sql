BEGIN TRANSACTION;
CREATE TABLE alias (
	domain TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	alias TEXT NOT NULL, 
	entity_id TEXT NOT NULL, 
	PRIMARY KEY (domain, "key"), 
	FOREIGN KEY(entity_id) REFERENCES entity (id) ON DELETE CASCADE
);
INSERT INTO "alias" VALUES('user:u','ann','Ann','e_1');
INSERT INTO "alias" VALUES('user:u','annie','Annie','e_1');
CREATE TABLE entity (
	id TEXT NOT NULL, 
	domain TEXT NOT NULL, 
	name TEXT NOT NULL, 
	type TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "entity" VALUES('e_1','user:u','Ann','person',0);
CREATE TABLE history (
	seq INTEGER NOT NULL, 
	memory_id TEXT NOT NULL, 
	event TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	source TEXT, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(memory_id) REFERENCES memory (id) ON DELETE CASCADE
);
CREATE TABLE memory (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	text TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	level TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	agent_id TEXT, 
	session_id TEXT, 
	role TEXT, 
	speaker TEXT, 
	source TEXT, 
	observed_at BIGINT NOT NULL, 
	recorded_at BIGINT NOT NULL, 
	valid_from BIGINT, 
	valid_until BIGINT, 
	expires_at BIGINT, 
	importance FLOAT NOT NULL, 
	state TEXT NOT NULL, 
	metadata TEXT, 
	UNIQUE (owner, fingerprint), 
	UNIQUE (id)
);
INSERT INTO "memory" VALUES(1,'m_1','user:u','f','Ann, also Annie, called.','fact','user','u',NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,NULL,0.5,'active',NULL);
CREATE TABLE mention (
	memory_id TEXT NOT NULL, 
	entity_id TEXT NOT NULL, 
	PRIMARY KEY (memory_id, entity_id), 
	FOREIGN KEY(memory_id) REFERENCES memory (id) ON DELETE CASCADE, 
	FOREIGN KEY(entity_id) REFERENCES entity (id) ON DELETE CASCADE
);
INSERT INTO "mention" VALUES('m_1','e_1');
CREATE TABLE pending (
	memory_id TEXT NOT NULL, 
	work TEXT NOT NULL, 
	since BIGINT NOT NULL, 
	PRIMARY KEY (memory_id)
);
CREATE TABLE "plan" (
	id TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	memory_ids TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE predicate (
	code INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	UNIQUE (name)
);
CREATE TABLE relation (
	id TEXT NOT NULL, 
	subject_id TEXT NOT NULL, 
	predicate INTEGER NOT NULL, 
	object_id TEXT NOT NULL, 
	memory_id TEXT NOT NULL, 
	valid_from BIGINT, 
	valid_until BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (memory_id, subject_id, predicate, object_id), 
	FOREIGN KEY(subject_id) REFERENCES entity (id) ON DELETE CASCADE, 
	FOREIGN KEY(predicate) REFERENCES predicate (code), 
	FOREIGN KEY(object_id) REFERENCES entity (id) ON DELETE CASCADE, 
	FOREIGN KEY(memory_id) REFERENCES memory (id) ON DELETE CASCADE
);
CREATE INDEX memory_by_time ON memory (owner, observed_at, seq);
CREATE INDEX memory_by_session ON memory (user_id, session_id, observed_at, seq);
CREATE INDEX ix_entity_domain ON entity (domain);
CREATE INDEX ix_history_memory_id ON history (memory_id);
CREATE INDEX ix_alias_entity_id ON alias (entity_id);
CREATE INDEX ix_mention_entity_id ON mention (entity_id);
CREATE INDEX ix_relation_subject_id ON relation (subject_id);
CREATE INDEX ix_relation_object_id ON relation (object_id);
CREATE INDEX ix_relation_predicate ON relation (predicate);
COMMIT;
PRAGMA user_version = 1;
