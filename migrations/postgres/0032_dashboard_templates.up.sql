-- Dashboards to begin with, the same for everybody. `template_config` is the document of a dashboard.
CREATE TABLE dashboard_templates (
    template_id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name <> ''),
    description text NOT NULL DEFAULT '',
    category text NOT NULL CHECK (category IN ('apm', 'infrastructure', 'network', 'custom')),
    template_config jsonb NOT NULL CHECK (jsonb_typeof(template_config) = 'object'),
    is_default boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON dashboard_templates FOR EACH ROW EXECUTE FUNCTION set_updated_at();
GRANT SELECT ON dashboard_templates TO duoscope_service;

INSERT INTO dashboard_templates (template_id, name, description, category, template_config, is_default) VALUES
('019e8a00-0000-7000-8000-000000000001', 'Services', 'Requests, errors and durations of services, from their spans, and what their logs say.', 'apm',
'{
 "name": "Services",
 "description": "Requests, errors and durations of services, from their spans, and what their logs say.",
 "tags": [
  "apm"
 ],
 "widgets": [
  {
   "key": "requests",
   "type": "stat",
   "title": "Requests",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "trace",
      "query": "service:$service (kind:server OR kind:consumer)",
      "measure": {
       "function": "count"
      },
      "group_by": []
     },
     "legend": "",
     "is_instant": true
    }
   ],
   "options": {
    "unit": ""
   }
  },
  {
   "key": "errors",
   "type": "stat",
   "title": "Errors",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "trace",
      "query": "service:$service (kind:server OR kind:consumer) status:error",
      "measure": {
       "function": "count"
      },
      "group_by": []
     },
     "legend": "",
     "is_instant": true
    }
   ],
   "options": {
    "unit": ""
   }
  },
  {
   "key": "p95",
   "type": "stat",
   "title": "95 % are faster than",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "trace",
      "query": "service:$service (kind:server OR kind:consumer)",
      "measure": {
       "function": "p95",
       "field": "duration"
      },
      "group_by": []
     },
     "legend": "",
     "is_instant": true
    }
   ],
   "options": {
    "unit": "ns"
   }
  },
  {
   "key": "rate",
   "type": "line_chart",
   "title": "Requests by service",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "trace",
      "query": "service:$service (kind:server OR kind:consumer)",
      "measure": {
       "function": "count"
      },
      "group_by": [
       "service"
      ]
     },
     "legend": "{{service}}"
    }
   ],
   "options": {
    "unit": ""
   }
  },
  {
   "key": "failed",
   "type": "line_chart",
   "title": "Errors by service",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "trace",
      "query": "service:$service (kind:server OR kind:consumer) status:error",
      "measure": {
       "function": "count"
      },
      "group_by": [
       "service"
      ]
     },
     "legend": "{{service}}"
    }
   ],
   "options": {
    "unit": ""
   }
  },
  {
   "key": "slow",
   "type": "line_chart",
   "title": "95th percentile by service",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "trace",
      "query": "service:$service (kind:server OR kind:consumer)",
      "measure": {
       "function": "p95",
       "field": "duration"
      },
      "group_by": [
       "service"
      ]
     },
     "legend": "{{service}}"
    }
   ],
   "options": {
    "unit": "ns"
   }
  },
  {
   "key": "operations",
   "type": "table",
   "title": "Requests by operation",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "trace",
      "query": "service:$service (kind:server OR kind:consumer)",
      "measure": {
       "function": "count"
      },
      "group_by": [
       "service",
       "name"
      ]
     },
     "legend": "",
     "is_instant": true
    }
   ],
   "options": {
    "unit": ""
   }
  },
  {
   "key": "severe",
   "type": "bar_chart",
   "title": "Warnings and errors",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "log",
      "query": "service:$service severity>=warn",
      "group_by": [
       "severity"
      ]
     },
     "legend": "{{severity}}"
    }
   ],
   "options": {
    "unit": ""
   }
  },
  {
   "key": "records",
   "type": "logs",
   "title": "Newest errors",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "log-records",
      "query": "service:$service severity>=error"
     }
    }
   ]
  }
 ],
 "sections": [
  {
   "title": "",
   "places": [
    {
     "widget": "requests",
     "x": 0,
     "y": 0,
     "width": 8,
     "height": 4
    },
    {
     "widget": "errors",
     "x": 8,
     "y": 0,
     "width": 8,
     "height": 4
    },
    {
     "widget": "p95",
     "x": 16,
     "y": 0,
     "width": 8,
     "height": 4
    },
    {
     "widget": "rate",
     "x": 0,
     "y": 4,
     "width": 12,
     "height": 8
    },
    {
     "widget": "failed",
     "x": 12,
     "y": 4,
     "width": 12,
     "height": 8
    },
    {
     "widget": "slow",
     "x": 0,
     "y": 12,
     "width": 12,
     "height": 8
    },
    {
     "widget": "operations",
     "x": 12,
     "y": 12,
     "width": 12,
     "height": 8
    }
   ]
  },
  {
   "title": "Logs",
   "places": [
    {
     "widget": "severe",
     "x": 0,
     "y": 0,
     "width": 24,
     "height": 8
    },
    {
     "widget": "records",
     "x": 0,
     "y": 8,
     "width": 24,
     "height": 8
    }
   ]
  }
 ],
 "variables": [
  {
   "kind": "query",
   "name": "service",
   "label": "Service",
   "source": {
    "kind": "field-values",
    "signal": "traces",
    "field": "service"
   },
   "multi": true,
   "include_all": true,
   "value": [
    "$__all"
   ]
  }
 ]
}', true),
('019e8a00-0000-7000-8000-000000000002', 'HTTP servers and databases', 'What HTTP servers answer and how fast, and calls to databases, by OpenTelemetry''s semantic conventions.', 'apm',
'{
 "name": "HTTP servers and databases",
 "description": "What HTTP servers answer and how fast, and calls to databases, by OpenTelemetry''s semantic conventions.",
 "tags": [
  "apm",
  "http"
 ],
 "widgets": [
  {
   "key": "rate",
   "type": "line_chart",
   "title": "Requests a second by route",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (http_route) (rate(http_server_request_duration_seconds_count{service_name=~\"$service\"}[$__rate_interval]))"
     },
     "legend": "{{http_route}}"
    }
   ],
   "options": {
    "unit": "reqps"
   }
  },
  {
   "key": "errors",
   "type": "line_chart",
   "title": "Share of answers 5xx",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (service_name) (rate(http_server_request_duration_seconds_count{service_name=~\"$service\",http_response_status_code=~\"5..\"}[$__rate_interval])) / sum by (service_name) (rate(http_server_request_duration_seconds_count{service_name=~\"$service\"}[$__rate_interval]))"
     },
     "legend": "{{service_name}}"
    }
   ],
   "options": {
    "unit": "percentunit"
   }
  },
  {
   "key": "latency",
   "type": "line_chart",
   "title": "95th percentile by route",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "histogram_quantile(0.95, sum by (le, http_route) (rate(http_server_request_duration_seconds_bucket{service_name=~\"$service\"}[$__rate_interval])))"
     },
     "legend": "{{http_route}}"
    }
   ],
   "options": {
    "unit": "s"
   }
  },
  {
   "key": "codes",
   "type": "bar_chart",
   "title": "Answers by status",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (http_response_status_code) (increase(http_server_request_duration_seconds_count{service_name=~\"$service\"}[$__rate_interval]))"
     },
     "legend": "{{http_response_status_code}}"
    }
   ],
   "options": {
    "unit": ""
   }
  },
  {
   "key": "calls",
   "type": "line_chart",
   "title": "Calls a second",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (db_system_name, db_operation_name) (rate(db_client_operation_duration_seconds_count{service_name=~\"$service\"}[$__rate_interval]))"
     },
     "legend": "{{db_system_name}} {{db_operation_name}}"
    }
   ],
   "options": {
    "unit": "reqps"
   }
  },
  {
   "key": "took",
   "type": "line_chart",
   "title": "95th percentile of calls",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "histogram_quantile(0.95, sum by (le, db_system_name) (rate(db_client_operation_duration_seconds_bucket{service_name=~\"$service\"}[$__rate_interval])))"
     },
     "legend": "{{db_system_name}}"
    }
   ],
   "options": {
    "unit": "s"
   }
  }
 ],
 "sections": [
  {
   "title": "",
   "places": [
    {
     "widget": "rate",
     "x": 0,
     "y": 0,
     "width": 12,
     "height": 8
    },
    {
     "widget": "errors",
     "x": 12,
     "y": 0,
     "width": 12,
     "height": 8
    },
    {
     "widget": "latency",
     "x": 0,
     "y": 8,
     "width": 12,
     "height": 8
    },
    {
     "widget": "codes",
     "x": 12,
     "y": 8,
     "width": 12,
     "height": 8
    }
   ]
  },
  {
   "title": "Databases",
   "places": [
    {
     "widget": "calls",
     "x": 0,
     "y": 0,
     "width": 12,
     "height": 8
    },
    {
     "widget": "took",
     "x": 12,
     "y": 0,
     "width": 12,
     "height": 8
    }
   ]
  }
 ],
 "variables": [
  {
   "kind": "query",
   "name": "service",
   "label": "Service",
   "source": {
    "kind": "label-values",
    "label": "service_name",
    "selector": "http_server_request_duration_seconds_count"
   },
   "multi": true,
   "include_all": true,
   "value": [
    "$__all"
   ]
  }
 ]
}', true),
('019e8a00-0000-7000-8000-000000000003', 'Processes', 'CPU and memory of processes, as OpenTelemetry''s SDKs tell them.', 'infrastructure',
'{
 "name": "Processes",
 "description": "CPU and memory of processes, as OpenTelemetry''s SDKs tell them.",
 "tags": [
  "infrastructure"
 ],
 "widgets": [
  {
   "key": "cpu",
   "type": "line_chart",
   "title": "CPU in use",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (service_name) (process_cpu_utilization_ratio{service_name=~\"$service\"})"
     },
     "legend": "{{service_name}}"
    }
   ],
   "options": {
    "unit": "percentunit"
   }
  },
  {
   "key": "memory",
   "type": "line_chart",
   "title": "Memory in use",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (service_name) (process_memory_usage_bytes{service_name=~\"$service\"})"
     },
     "legend": "{{service_name}}"
    }
   ],
   "options": {
    "unit": "bytes"
   }
  },
  {
   "key": "now",
   "type": "table",
   "title": "Memory now",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (service_name) (process_memory_usage_bytes{service_name=~\"$service\"})"
     },
     "legend": "",
     "is_instant": true
    }
   ],
   "options": {
    "unit": "bytes"
   }
  }
 ],
 "sections": [
  {
   "title": "",
   "places": [
    {
     "widget": "cpu",
     "x": 0,
     "y": 0,
     "width": 12,
     "height": 8
    },
    {
     "widget": "memory",
     "x": 12,
     "y": 0,
     "width": 12,
     "height": 8
    },
    {
     "widget": "now",
     "x": 0,
     "y": 8,
     "width": 24,
     "height": 8
    }
   ]
  }
 ],
 "variables": [
  {
   "kind": "query",
   "name": "service",
   "label": "Service",
   "source": {
    "kind": "label-values",
    "label": "service_name",
    "selector": "process_memory_usage_bytes"
   },
   "multi": true,
   "include_all": true,
   "value": [
    "$__all"
   ]
  }
 ]
}', true),
('019e8a00-0000-7000-8000-000000000004', 'Hosts', 'CPU, memory, disks and file systems of hosts, from the host metrics of the OpenTelemetry Collector.', 'infrastructure',
'{
 "name": "Hosts",
 "description": "CPU, memory, disks and file systems of hosts, from the host metrics of the OpenTelemetry Collector.",
 "tags": [
  "infrastructure",
  "hosts"
 ],
 "widgets": [
  {
   "key": "cpu",
   "type": "line_chart",
   "title": "CPU by state",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "avg by (host_name, state) (rate(system_cpu_time_seconds_total{host_name=~\"$host\",state!=\"idle\"}[$__rate_interval]))"
     },
     "legend": "{{host_name}} {{state}}"
    }
   ],
   "options": {
    "unit": "percentunit",
    "stacking": "normal",
    "fill_opacity": 40
   }
  },
  {
   "key": "memory",
   "type": "line_chart",
   "title": "Memory by state",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (host_name, state) (system_memory_usage_bytes{host_name=~\"$host\"})"
     },
     "legend": "{{host_name}} {{state}}"
    }
   ],
   "options": {
    "unit": "bytes",
    "stacking": "normal",
    "fill_opacity": 40
   }
  },
  {
   "key": "disks",
   "type": "line_chart",
   "title": "Disk throughput",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (host_name, direction) (rate(system_disk_io_bytes_total{host_name=~\"$host\"}[$__rate_interval]))"
     },
     "legend": "{{host_name}} {{direction}}"
    }
   ],
   "options": {
    "unit": "Bps"
   }
  },
  {
   "key": "files",
   "type": "bar_chart",
   "title": "File systems, share in use",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (host_name, mountpoint) (system_filesystem_usage_bytes{host_name=~\"$host\",state=\"used\"}) / sum by (host_name, mountpoint) (system_filesystem_usage_bytes{host_name=~\"$host\"})"
     },
     "legend": "{{host_name}} {{mountpoint}}"
    }
   ],
   "options": {
    "unit": "percentunit",
    "is_horizontal": true
   }
  }
 ],
 "sections": [
  {
   "title": "",
   "places": [
    {
     "widget": "cpu",
     "x": 0,
     "y": 0,
     "width": 12,
     "height": 8
    },
    {
     "widget": "memory",
     "x": 12,
     "y": 0,
     "width": 12,
     "height": 8
    },
    {
     "widget": "disks",
     "x": 0,
     "y": 8,
     "width": 12,
     "height": 8
    },
    {
     "widget": "files",
     "x": 12,
     "y": 8,
     "width": 12,
     "height": 8
    }
   ]
  }
 ],
 "variables": [
  {
   "kind": "query",
   "name": "host",
   "label": "Host",
   "source": {
    "kind": "label-values",
    "label": "host_name",
    "selector": "system_memory_usage_bytes"
   },
   "multi": true,
   "include_all": true,
   "value": [
    "$__all"
   ]
  }
 ]
}', true),
('019e8a00-0000-7000-8000-000000000005', 'Calls between services', 'What services call, how often and how fast, from the spans of their calls.', 'network',
'{
 "name": "Calls between services",
 "description": "What services call, how often and how fast, from the spans of their calls.",
 "tags": [
  "network"
 ],
 "widgets": [
  {
   "key": "calls",
   "type": "line_chart",
   "title": "Calls by address",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "trace",
      "query": "service:$service kind:client server.address:*",
      "measure": {
       "function": "count"
      },
      "group_by": [
       "server.address"
      ]
     },
     "legend": "{{server.address}}"
    }
   ],
   "options": {
    "unit": ""
   }
  },
  {
   "key": "failed",
   "type": "line_chart",
   "title": "Failed calls by address",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "trace",
      "query": "service:$service kind:client server.address:* status:error",
      "measure": {
       "function": "count"
      },
      "group_by": [
       "server.address"
      ]
     },
     "legend": "{{server.address}}"
    }
   ],
   "options": {
    "unit": ""
   }
  },
  {
   "key": "slow",
   "type": "line_chart",
   "title": "95th percentile by address",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "trace",
      "query": "service:$service kind:client server.address:*",
      "measure": {
       "function": "p95",
       "field": "duration"
      },
      "group_by": [
       "server.address"
      ]
     },
     "legend": "{{server.address}}"
    }
   ],
   "options": {
    "unit": "ns"
   }
  },
  {
   "key": "who",
   "type": "table",
   "title": "Who calls whom",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "trace",
      "query": "service:$service kind:client server.address:*",
      "measure": {
       "function": "count"
      },
      "group_by": [
       "service",
       "server.address"
      ]
     },
     "legend": "",
     "is_instant": true
    }
   ],
   "options": {
    "unit": ""
   }
  }
 ],
 "sections": [
  {
   "title": "",
   "places": [
    {
     "widget": "calls",
     "x": 0,
     "y": 0,
     "width": 12,
     "height": 8
    },
    {
     "widget": "failed",
     "x": 12,
     "y": 0,
     "width": 12,
     "height": 8
    },
    {
     "widget": "slow",
     "x": 0,
     "y": 8,
     "width": 12,
     "height": 8
    },
    {
     "widget": "who",
     "x": 12,
     "y": 8,
     "width": 12,
     "height": 8
    }
   ]
  }
 ],
 "variables": [
  {
   "kind": "query",
   "name": "service",
   "label": "Service",
   "source": {
    "kind": "field-values",
    "signal": "traces",
    "field": "service"
   },
   "multi": true,
   "include_all": true,
   "value": [
    "$__all"
   ]
  }
 ]
}', true),
('019e8a00-0000-7000-8000-000000000006', 'Network interfaces', 'Traffic, errors and lost packets of interfaces, from the host metrics of the OpenTelemetry Collector.', 'network',
'{
 "name": "Network interfaces",
 "description": "Traffic, errors and lost packets of interfaces, from the host metrics of the OpenTelemetry Collector.",
 "tags": [
  "network",
  "hosts"
 ],
 "widgets": [
  {
   "key": "traffic",
   "type": "line_chart",
   "title": "Traffic",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (host_name, device, direction) (rate(system_network_io_bytes_total{host_name=~\"$host\"}[$__rate_interval]))"
     },
     "legend": "{{host_name}} {{device}} {{direction}}"
    }
   ],
   "options": {
    "unit": "Bps"
   }
  },
  {
   "key": "packets",
   "type": "line_chart",
   "title": "Packets",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (host_name, direction) (rate(system_network_packets_total{host_name=~\"$host\"}[$__rate_interval]))"
     },
     "legend": "{{host_name}} {{direction}}"
    }
   ],
   "options": {
    "unit": "pps"
   }
  },
  {
   "key": "errors",
   "type": "line_chart",
   "title": "Errors",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (host_name, device) (rate(system_network_errors_total{host_name=~\"$host\"}[$__rate_interval]))"
     },
     "legend": "{{host_name}} {{device}}"
    }
   ],
   "options": {
    "unit": ""
   }
  },
  {
   "key": "connections",
   "type": "line_chart",
   "title": "Connections by state",
   "queries": [
    {
     "name": "A",
     "question": {
      "kind": "promql",
      "expression": "sum by (host_name, state) (system_network_connections{host_name=~\"$host\"})"
     },
     "legend": "{{host_name}} {{state}}"
    }
   ],
   "options": {
    "unit": ""
   }
  }
 ],
 "sections": [
  {
   "title": "",
   "places": [
    {
     "widget": "traffic",
     "x": 0,
     "y": 0,
     "width": 12,
     "height": 8
    },
    {
     "widget": "packets",
     "x": 12,
     "y": 0,
     "width": 12,
     "height": 8
    },
    {
     "widget": "errors",
     "x": 0,
     "y": 8,
     "width": 12,
     "height": 8
    },
    {
     "widget": "connections",
     "x": 12,
     "y": 8,
     "width": 12,
     "height": 8
    }
   ]
  }
 ],
 "variables": [
  {
   "kind": "query",
   "name": "host",
   "label": "Host",
   "source": {
    "kind": "label-values",
    "label": "host_name",
    "selector": "system_network_io_bytes_total"
   },
   "multi": true,
   "include_all": true,
   "value": [
    "$__all"
   ]
  }
 ]
}', true);
